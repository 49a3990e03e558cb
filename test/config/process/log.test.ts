import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { logText, syslogPriority } from '../../../config/process/log.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
const module = new URL('../../../config/process/log.ts', import.meta.url).href

/** What a process writes to standard output, a file, that logs with these options. */
function logged(options: object, { isJournal = false } = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  const file = join(dir, 'out')
  const out = openSync(file, 'w')
  const code = `import { createLog } from ${JSON.stringify(module)}
    const log = createLog('gateway', ${JSON.stringify({ level: 'info', ...options })}, process.env)
    log.info({ port: 1883, text: 'a\\u001bb' }, 'accepting')
    log.debug('not shown')
    log.error('broken')`
  const { dev, ino } = fstatSync(out)
  const env = { ...process.env, ...(isJournal && { JOURNAL_STREAM: `${dev}:${ino}` }) }
  const args = ['--input-type=module', '-e', code]
  spawnSync(process.execPath, args, { env, stdio: ['ignore', out, 'inherit'] })
  closeSync(out)
  const text = readFileSync(file, 'utf8')
  rmSync(dir, { recursive: true })
  return text
}

/**
 * Waits until a shell command has logged 2 MB and gone on: `$LOGGER` is a process that logs and
 * then writes a file.
 */
async function logsMuch(command: string, stdout: 'pipe' | 'ignore'): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  const done = join(dir, 'done')
  const code = `import { createLog } from ${JSON.stringify(module)}
    import { writeFileSync } from 'node:fs'
    const log = createLog('gateway', { level: 'info' })
    for (let line = 0; line < 20_000; line++) log.info({ line }, 'x'.repeat(40))
    writeFileSync(${JSON.stringify(done)}, 'done')`
  const script = join(dir, 'logger.mjs')
  writeFileSync(script, code)
  const env = { ...process.env, LOGGER: `'${process.execPath}' '${script}'` }
  const child = spawn('/bin/sh', ['-c', command], {
    ...{ env, detached: true, stdio: ['ignore', stdout, 'inherit'] },
  })
  try {
    await vi.waitFor(() => expect(readFileSync(done, 'utf8')).toBe('done'), PATIENCE)
  } finally {
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL')
    rmSync(dir, { recursive: true })
  }
}

describe('a process whose log nobody reads goes on', () => {
  it('with a pipe', () => logsMuch('eval "$LOGGER" | sleep 600', 'ignore'))
  // Node gives a child a socket pair.
  it('with a socket', () => logsMuch('eval exec "$LOGGER"', 'pipe'))
})

describe('the log', () => {
  it('has level names, ISO times and the fields of an entry, one JSON object a line', () => {
    const [first, second, end] = logged({}).split('\n')
    expect(JSON.parse(first!)).toEqual({
      ...{ level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) },
      ...{ name: 'gateway', pid: expect.any(Number), port: 1883, text: 'a\u001bb' },
      msg: 'accepting',
    })
    expect(JSON.parse(second!)).toMatchObject({ level: 'error', msg: 'broken' })
    expect(end).toBe('')
  })

  it('is text for people when asked for, safe on a terminal', () => {
    const [first, second] = logged({ format: 'text' }).split('\n')
    expect(first).toMatch(
      /^[\d-]+T[\d:.]+Z INFO {2}gateway: accepting {2}port=1883 {2}text=a\\u\{1b\}b$/,
    )
    expect(second).toMatch(/ ERROR gateway: broken$/)
    const entry = { level: 'error', time: 'T', name: 'bridge', pid: 1, msg: 'Error: x\n    at y' }
    expect(logText(entry)).toBe('T ERROR bridge: Error: x\n      at y')
  })

  it('begins each line with its priority when standard output is the journal', () => {
    const [first, second] = logged({}, { isJournal: true }).split('\n')
    expect(first).toMatch(/^<6>\{"level":"info"/)
    expect(second).toMatch(/^<3>\{"level":"error"/)
    expect(logged({ format: 'text' }, { isJournal: true })).toMatch(/^<6>[\d-]+T/)
    expect(['fatal', 'error', 'warn', 'info', 'debug', 'trace'].map(syslogPriority)).toEqual([
      2, 3, 4, 6, 7, 7,
    ])
  })

  it('does not take another file for the journal', () => {
    expect(logged({})).not.toContain('<6>')
  })
})
