import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  decideAfterExit,
  type ExitDecision,
  type ProcessOptions,
  type SupervisedProcess,
  startSupervisedProcess,
} from '../../../simulators/processes/supervisor.ts'

const waitMs = { timeout: 20_000, interval: 10 }
const promptly = { firstMs: 1, maxMs: 1 }
const forever = 'setInterval(() => {}, 1000)'

let running: AsyncDisposableStack
let lines: string[]
beforeEach(() => {
  running = new AsyncDisposableStack()
  lines = []
})
afterEach(() => running.disposeAsync())

async function startNode(script: string, more: Partial<ProcessOptions> = {}) {
  const process_ = await startSupervisedProcess({
    name: 'child',
    command: process.execPath,
    args: ['-e', script],
    restart: promptly,
    onLine: line => lines.push(line),
    ...more,
  } as ProcessOptions)
  return running.use(process_)
}

const waitForLine = (line: string) => expect.poll(() => lines, waitMs).toContain(line)
const exists = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('afterExit', () => {
  const limits = { firstMs: 100, maxMs: 1000 }
  const crash = { code: 1, signal: null, ranMs: 5 }

  it('doubles the back-off after each failure in a row, up to the limit', () => {
    const delays: number[] = []
    let failures = 0
    for (let i = 0; i < 6; i++) {
      const next = decideAfterExit(crash, failures, limits)
      if (next.action !== 'restart') throw new Error('gave up')
      delays.push(next.delayMs)
      failures = next.failures
    }
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000])
  })

  it('stays at the limit after very many failures', () => {
    expect(decideAfterExit(crash, 5000, limits)).toMatchObject({ delayMs: 1000 })
  })

  it('resets the failures after a healthy run', () => {
    const next = decideAfterExit({ ...crash, ranMs: 1001 }, 5, limits)
    expect(next).toEqual({ action: 'restart', delayMs: 100, failures: 1 })
  })

  it('gives up on exit code 2, however long the process ran', () => {
    expect(decideAfterExit({ ...crash, code: 2, ranMs: 9999 }, 0, limits).action).toBe('give-up')
  })

  it('restarts after a signal and after an exit without error', () => {
    expect(decideAfterExit({ ...crash, code: null, signal: 'SIGKILL' }, 0, limits).action).toBe(
      'restart',
    )
    expect(decideAfterExit({ ...crash, code: 0 }, 0, limits).action).toBe('restart')
  })
})

describe('startProcess', () => {
  it('restarts a killed process', async () => {
    const exits: [string | null, string][] = []
    const child = await startNode(`console.log('pid ' + process.pid); ${forever}`, {
      onExit: (exit, next) => exits.push([exit.signal, next.action]),
    })
    const first = child.pid!
    await waitForLine(`pid ${first}`)
    child.kill('SIGKILL')
    await expect.poll(() => child.restarts, waitMs).toBe(1)
    await expect.poll(() => child.pid, waitMs).not.toBeNull()
    expect(child.pid).not.toBe(first)
    await waitForLine(`pid ${child.pid}`)
    expect(exits).toEqual([['SIGKILL', 'restart']])
  })

  it('does not restart a process that ended with exit code 2, and reports why', async () => {
    const decisions: ExitDecision[] = []
    const child = await startNode('process.exit(2)', { onExit: (_, next) => decisions.push(next) })
    await expect.poll(() => child.state.name, waitMs).toBe('failed')
    expect(child.pid).toBeNull()
    expect(child.restarts).toBe(0)
    expect(decisions).toEqual([
      { action: 'give-up', reason: expect.stringContaining('configuration') },
    ])
    expect(await child.stop(1000)).toBe('ended')
  })

  it('ends a process by SIGTERM and does not restart it', async () => {
    const decisions: ExitDecision[] = []
    const script = `process.on('SIGTERM', () => { console.log('drained'); process.exit(0) })
      console.log('ready'); ${forever}`
    const child = await startNode(script, { onExit: (_, next) => decisions.push(next) })
    await waitForLine('ready')
    const pid = child.pid!
    expect(await child.stop(20_000)).toBe('ended')
    await waitForLine('drained')
    expect(child.state).toEqual({ name: 'stopped' })
    expect([exists(pid), child.pid, child.restarts, decisions]).toEqual([false, null, 0, []])
  })

  it('kills a process that does not end within the deadline; all calls of stop get the same result', async () => {
    const child = await startNode(
      `process.on('SIGTERM', () => {}); console.log('ready'); ${forever}`,
    )
    await waitForLine('ready')
    const pid = child.pid!
    expect(await Promise.all([child.stop(50), child.stop(60_000)])).toEqual(['killed', 'killed'])
    expect(exists(pid)).toBe(false)
  })

  it('ends a suspended process', async () => {
    const child = await startNode(`console.log('ready'); ${forever}`)
    await waitForLine('ready')
    child.kill('SIGSTOP')
    expect(await child.stop(20_000)).toBe('ended')
  })

  it('stops while it waits for a restart', async () => {
    const child = await startNode('process.exit(1)', {
      restart: { firstMs: 60_000, maxMs: 60_000 },
    })
    await expect.poll(() => child.state, waitMs).toEqual({ name: 'waiting', delayMs: 60_000 })
    expect(child.pid).toBeNull()
    expect(child.kill('SIGKILL')).toBe(false)
    expect(await child.stop(1000)).toBe('ended')
    expect(child.state).toEqual({ name: 'stopped' })
  })

  it('starts nothing when stopped just before a restart', async () => {
    const child = await startNode('process.exit(1)', { restart: { firstMs: 100, maxMs: 100 } })
    await expect.poll(() => child.state.name, waitMs).toBe('waiting')
    await child.stop(1000)
    const { restarts } = child
    await sleep(300)
    expect([child.restarts, child.state]).toEqual([restarts, { name: 'stopped' }])
  })

  it('ends a process that is stopped during a restart', async () => {
    let starts = 0
    let stopped: Promise<string> | undefined
    const child: SupervisedProcess = await startSupervisedProcess({
      name: 'child',
      command: process.execPath,
      get args() {
        if (++starts === 2) {
          queueMicrotask(() => {
            stopped = child.stop(20_000)
          })
        }
        return ['-e', starts === 1 ? 'process.exit(1)' : forever]
      },
      restart: promptly,
      onLine: () => {},
    })
    await expect.poll(() => stopped, waitMs).toBeDefined()
    await stopped
    await sleep(100)
    expect(child.state).toEqual({ name: 'stopped' })
  })

  it('has a process group of its own, which the Ctrl-C of a terminal does not reach', async () => {
    const child = await startNode(forever)
    expect(process.kill(-child.pid!, 0)).toBe(true)
  })

  it('reports the lines of both streams', async () => {
    await startNode(`console.log('to stdout'); console.error('to stderr'); ${forever}`)
    await waitForLine('to stdout')
    await waitForLine('to stderr')
  })

  it('appends to a log file across restarts, and passes the environment', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-supervisor-'))
    running.defer(() => rm(dir, { recursive: true }))
    const logFile = join(dir, 'child.log')
    const options = { logFile, env: { WORD: 'kept' } }
    const child = await startNode(
      'console.log(process.env.WORD)',
      options as Partial<ProcessOptions>,
    )
    await expect.poll(() => child.restarts, waitMs).toBeGreaterThan(1)
    await expect.poll(() => readFile(logFile, 'utf8'), waitMs).toMatch(/^kept\nkept\n/)
  })

  it('rejects when the command does not exist', async () => {
    await expect(startNode('', { command: 'no-such-program' })).rejects.toThrow('ENOENT')
  })

  it('does not outlive its parent, even one that is killed', async () => {
    const supervisor = new URL('../../../simulators/processes/supervisor.ts', import.meta.url).href
    const parent = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `
      import { startSupervisedProcess } from '${supervisor}'
      const restart = { firstMs: 1, maxMs: 1 }
      const args = ['-e', 'setInterval(() => {}, 1000)']
      const command = process.execPath
      const child = await startSupervisedProcess({ name: 'c', command, args, restart, onLine() {} })
      console.log(child.pid)`,
    ])
    running.defer(() => void parent.kill('SIGKILL'))
    const [output] = await once(parent.stdout, 'data')
    const pid = Number(output)
    expect(exists(pid)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => exists(pid), waitMs).toBe(false)
  })
})
