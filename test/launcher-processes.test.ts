import { spawnSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  install,
  installation,
  needed,
  npmCalls,
  oldNode,
  root,
  run,
  type StartOptions,
  start,
  tool,
  useLauncherFolder,
  waitMs,
} from './launcher-fixture.ts'

useLauncherFolder()

// A command replaces the launcher when Node is new enough; a tool under npm does not.
describe.each([
  ['a command, which replaces the launcher', ['gateway'], {}],
  ['a command under npm', ['gateway'], { underNpm: true }],
  ['a tool under npm, a child', ['exec', 'gateway/main.ts'], { underNpm: true }],
])('%s', (_, command: string[], options: StartOptions) => {
  beforeEach(() => install({ ...needed, ...tool }))

  it('ends with its own exit code', async () => {
    expect(await run([...command, 'fail'], options)).toMatchObject({ code: 5 })
  })

  it('receives a signal, and the launcher ends with its exit code', async () => {
    const { child, output, ended } = start([...command, 'wait'], options)
    await expect.poll(() => output.stdout, waitMs).toBe('gateway wait\n')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 7, signal: null })
  })

  it('receives Ctrl-C from a terminal once, and a later Ctrl-C as a second signal', async () => {
    const { child, output, ended } = start([...command, 'wait'], options)
    await expect.poll(() => output.stdout, waitMs).toBe('gateway wait\n')
    process.kill(-child.pid!, 'SIGINT')
    await expect.poll(() => output.stdout, waitMs).toContain('SIGINT 1')
    await sleep(600) // longer than signalEchoMs
    process.kill(-child.pid!, 'SIGINT')
    await expect.poll(() => output.stdout, waitMs).toContain('SIGINT 2')
    child.kill('SIGTERM')
    expect((await ended).stdout).toBe('gateway wait\nSIGINT 1\nSIGINT 2\n')
  })
})

it.each([
  ['node', {}],
  ['npm', { underNpm: true }],
  ['the shell', { byShell: true }],
])('runs the part without a second process when %s starts the launcher', async (_, options) => {
  await install(needed)
  const { child, ended } = start(['gateway', 'pid'], options)
  expect((await ended).stdout).toBe(`gateway pid\n${child.pid}\n`)
})

it('gives consumers a larger heap, except where memory is small', async () => {
  await install(needed)
  const flagsOf = async (part: string, env: NodeJS.ProcessEnv = {}) =>
    (await start([part, 'which'], { env }).ended).stdout
  for (const part of ['gateway', 'bridge']) {
    expect(await flagsOf(part)).toMatch(/--max-semi-space-size=4 --single-threaded-gc/)
  }
  expect(await flagsOf('consume')).toContain('--max-semi-space-size=64')
  expect(await flagsOf('consume', { SLUICE_MEMORY: 'small' })).toContain('semi-space-size=4 ')
})

it('says what is missing when there is no Node', async () => {
  const env = { PATH: join(root, 'empty') }
  const { status, stderr } = spawnSync('/bin/sh', [join(root, 'sluice'), 'gateway'], { env })
  expect([status, String(stderr)]).toEqual([1, expect.stringContaining('install Node 20 or newer')])
})

describe('a tool as a child', () => {
  beforeEach(() => install({ ...needed, ...tool }))

  it('receives a signal once when terminal and npm both send it', async () => {
    const tool = ['exec', 'gateway/main.ts', 'wait']
    const { child, output, ended } = start(tool, { underNpm: true })
    await expect.poll(() => output.stdout, waitMs).toBe('gateway wait\n')
    process.kill(-child.pid!, 'SIGINT')
    await expect.poll(() => output.stdout, waitMs).toContain('SIGINT 1')
    process.kill(child.pid!, 'SIGINT')
    child.kill('SIGTERM')
    expect((await ended).stdout).toBe('gateway wait\nSIGINT 1\n')
  })

  it('exits with 128 plus the signal number when a signal kills the part', async () => {
    const script = join(root, 'dies.ts')
    await writeFile(script, `process.kill(process.pid, 'SIGKILL')`)
    expect(await run(['exec', script], { underNpm: true })).toMatchObject({ code: 137 })
  })
})

describe.skipIf(oldNode === undefined)('under an old Node', () => {
  beforeEach(() => install(needed))

  it('runs the part under the installed Node', async () => {
    const folder = join(root, 'node_modules', `node-${process.platform}-${process.arch}`)
    await mkdir(folder)
    await symlink(dirname(process.execPath), join(folder, 'bin'))
    const { code, stdout, stderr } = await run(['gateway', 'which'], { node: oldNode! })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`${process.version} --disable-warning=TimeoutNegativeWarning`)
  })

  it('leaves no old Node beside the part, not even when it has just been installed', async () => {
    const name = `node-${process.platform}-${process.arch}`
    const locked = { ...needed, [`node_modules/${name}`]: { version: '24.0.0', optional: true } }
    await writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages: locked }))
    await writeFile(join(root, 'installed.json'), installation(locked))
    await mkdir(join(root, 'to-install', name), { recursive: true })
    await symlink(dirname(process.execPath), join(root, 'to-install', name, 'bin'))
    for (const calls of [1, 1]) {
      const { child, ended } = start(['gateway', 'pid'], { node: oldNode!, byShell: true })
      expect((await ended).stdout).toBe(`gateway pid\n${child.pid}\n`)
      expect(await npmCalls()).toHaveLength(calls)
    }
  })

  it('names the cure when no newer Node is installed', async () => {
    const { code, stdout, stderr } = await run(['gateway'], { node: oldNode! })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/Node 24 is needed, this is v2.*install Node 24/)
  })
})
