import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { npm } from './launcher-npm.ts'

// Each test has a copy of the launcher and a false npm that installs two packages. Each part of the
// copy prints its arguments and the signals that it receives.
const launcher = fileURLToPath(new URL('../sluice', import.meta.url))
const needed = { 'node_modules/needed': { version: '1.0.0' } }
const tool = { 'node_modules/tool': { version: '2.0.0', dev: true } }
const forOthers = { 'node_modules/for-others': { version: '3.0.0', optional: true } }
const lockFile = { packages: { '': { name: 'sluice' }, ...needed, ...tool, ...forOthers } }
const nestedFolders = [
  ...['cloud-bridge/ledger', 'cloud-bridge/partitions', 'cloud-bridge/replay'],
  ...['cloud-bridge/consumers', 'cloud-bridge/consumers/dead-letters'],
  'gateway/inspect',
]
const folders = ['gateway', 'cloud-bridge', 'simulators', ...nestedFolders]

const part = `
import { appendFileSync } from 'node:fs'
if (process.argv.includes('--help')) appendFileSync('helps', process.argv[1].split('/').at(-2) + ' ')
let interrupts = 0
process.on('SIGINT', () => console.log('SIGINT ' + ++interrupts))
process.on('SIGTERM', () => process.exit(7))
if (process.argv.includes('fail')) process.exit(5)
if (process.argv.includes('wait')) setInterval(() => {}, 1000)
console.log([process.argv[1].split('/').at(-2), ...process.argv.slice(2)].join(' '))
if (process.argv.includes('which')) console.log(process.version, process.execArgv.join(' '))
if (process.argv.includes('pid')) console.log(process.pid)
`
const commands =
  '  up  gateway  bridge  simulate  status  rehearse  ledger  archive  tail  export  deadletters' +
  '  qos2  replay  doctor  partitions  consume'
const waitMs = { timeout: 20_000, interval: 10 }
const oldNode = findOldNode()

let root: string
let started: ChildProcess[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-launcher-'))
  started = []
  for (const folder of ['bin', 'tmp', ...folders]) await mkdir(join(root, folder))
  await copyFile(launcher, join(root, 'sluice'))
  await writeFile(join(root, 'package.json'), '{ "type": "module" }')
  await writeFile(join(root, 'package-lock.json'), JSON.stringify(lockFile))
  await writeFile(join(root, 'installed.json'), installation({ ...needed, ...tool }))
  await writeFile(join(root, 'bin', 'npm'), npm)
  await chmod(join(root, 'bin', 'npm'), 0o755)
  for (const folder of folders) await writeFile(join(root, folder, 'main.ts'), part)
})
afterEach(async () => {
  for (const child of started) killGroup(child)
  await rm(root, { recursive: true, force: true })
})

const installation = (packages: object) => JSON.stringify({ packages })
const npmCalls = async () => {
  const text = await readFile(join(root, 'npm.calls'), 'utf8').catch(() => '')
  return text.split('\n').filter(Boolean)
}
async function install(packages: object): Promise<void> {
  await mkdir(join(root, 'node_modules'), { recursive: true })
  await writeFile(join(root, 'node_modules', '.package-lock.json'), installation(packages))
}

/** `byShell` starts the launcher by its first line, with a `node` in the PATH. */
type StartOptions = { node?: string; underNpm?: boolean; byShell?: boolean }

// Starts the launcher in a process group of its own, as a shell in a terminal does.
function start(
  args: string[],
  { node = process.execPath, underNpm = false, byShell = false }: StartOptions = {},
) {
  const env: NodeJS.ProcessEnv = {
    HOME: join(root, 'home'),
    PATH: [join(root, 'bin'), dirname(node), process.env.PATH].join(delimiter),
    TMPDIR: join(root, 'tmp'),
    ...(underNpm && { npm_lifecycle_event: 'start' }),
  }
  const file = join(root, 'sluice')
  const [program, ...words] = byShell ? [file, ...args] : [node, file, ...args]
  const child = spawn(program, words, { cwd: root, env, detached: true })
  started.push(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', data => {
    output.stdout += data
  })
  child.stderr.on('data', data => {
    output.stderr += data
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }))
  return { child, output, ended }
}
const run = (args: string[], options?: StartOptions) => start(args, options).ended

function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // The group has ended already.
  }
}

function findOldNode(): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, 'node'))
  return candidates.find(node => {
    if (!existsSync(node)) return false
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' })
    return /^v2[0-3]\./.test(version)
  })
}

describe('./sluice', () => {
  it('prints its commands without installed packages', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    expect(stdout.match(/^ {2}\w+/gm)?.join('')).toBe(commands)
    expect(await npmCalls()).toEqual([])
  })

  it.each([
    [['nonsense'], /unknown command 'nonsense'\n[\s\S]*gateway/],
    [['gatewya'], /unknown command 'gatewya'\. Did you mean gateway\?\n/],
    [['toString'], /unknown command 'toString'/],
    [[], /no command[\s\S]*gateway/],
  ])('refuses %j with exit code 2 and the list of commands', async (args, reason) => {
    const { code, stdout, stderr } = await run(args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(reason)
  })

  it.each([
    [['up', '--for', '30s'], 'simulators up --for 30s'],
    [['gateway', '--help'], 'gateway --help'],
    [['bridge', '--config', 'a b'], 'cloud-bridge --config a b'],
    [['tail', '--follow'], 'inspect tail --follow'],
    [['deadletters', 'show', '7'], 'inspect deadletters show 7'],
    [['deadletters', 'show', 'a/b', '--cloud'], 'dead-letters show a/b --cloud'],
    [['ledger', 'verify', '--json'], 'ledger verify --json'],
    [['exec', 'gateway/main.ts', 'up'], 'gateway up'],
  ])('runs the part of %j with the other arguments', async (args, printed) => {
    await install({ ...needed, ...tool })
    expect(await run(args)).toMatchObject({ code: 0, stdout: `${printed}\n` })
  })
})

describe('installing missing packages', () => {
  it('installs once, reports that on stderr, and leaves stdout to the part', async () => {
    const first = await run(['gateway'])
    expect(first).toMatchObject({ code: 0, stdout: 'gateway\n' })
    expect(first.stderr).toMatch(/installing the locked packages[\s\S]*noise of npm/)
    expect(await run(['gateway'])).toMatchObject({ stdout: 'gateway\n', stderr: '' })
    expect(await npmCalls()).toEqual(['ci --loglevel=error --include=optional --omit=dev'])
  })

  it('installs again when another version or a further package is locked', async () => {
    await install({ 'node_modules/needed': { version: '0.9.0' }, ...tool })
    await run(['gateway'])
    expect(await npmCalls()).toHaveLength(1)
    await install(tool)
    await run(['gateway'])
    expect(await npmCalls()).toHaveLength(2)
  })

  it('installs development packages only for exec', async () => {
    await install(needed)
    await run(['gateway'])
    expect(await npmCalls()).toEqual([])
    await run(['exec', join(root, 'gateway/main.ts')])
    expect(await npmCalls()).toEqual([expect.stringContaining('--include=dev')])
  })

  it('keeps the packages for tests of somebody who has some', async () => {
    await install({ 'node_modules/needed': { version: '0.9.0' }, ...tool })
    await run(['gateway'])
    expect(await npmCalls()).toEqual([expect.stringContaining('--include=dev')])
  })

  it('installs nothing in an image, which has no lock file', async () => {
    await rm(join(root, 'package-lock.json'))
    expect(await run(['gateway'])).toMatchObject({ code: 0, stdout: 'gateway\n' })
    expect(await npmCalls()).toEqual([])
  })

  it('starts no part when the installation fails, and installs again at the next start', async () => {
    await writeFile(join(root, 'npm.fails'), '')
    const failed = await run(['gateway'])
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toContain('npm ci failed')
    await rm(join(root, 'npm.fails'))
    expect(await run(['gateway'])).toMatchObject({ code: 0, stdout: 'gateway\n' })
  })

  it('installs in one of two processes while the other waits', async () => {
    const both = await Promise.all([run(['gateway']), run(['bridge'])])
    expect(both.map(({ stdout }) => stdout)).toEqual(['gateway\n', 'cloud-bridge\n'])
    expect(await npmCalls()).toHaveLength(1)
  })

  it('ignores the lock of a killed installation', async () => {
    await writeFile(join(root, 'npm.hangs'), '')
    const { child, ended } = start(['gateway'])
    const hanging = () => readFile(join(root, 'npm.hangs'), 'utf8').then(Number)
    await expect.poll(hanging, waitMs).toBeGreaterThan(0)
    child.kill('SIGKILL')
    process.kill(await hanging(), 'SIGKILL')
    await ended
    await rm(join(root, 'npm.hangs'))
    expect(await run(['gateway'])).toMatchObject({ code: 0, stdout: 'gateway\n' })
  })

  it('ends the installation on SIGINT', async () => {
    await writeFile(join(root, 'npm.hangs'), '')
    const { child, ended } = start(['gateway'])
    await expect.poll(npmCalls, waitMs).toHaveLength(1)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, stdout: '' })
  })
})

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

it('prints its version without installed packages', async () => {
  await writeFile(join(root, 'package.json'), '{ "type": "module", "version": "1.2.3" }')
  expect(await run(['--version'])).toMatchObject({ code: 0, stdout: 'sluice 1.2.3\n' })
  expect(await run(['bridge', '--version'])).toMatchObject({ code: 0, stdout: 'sluice 1.2.3\n' })
  expect(await npmCalls()).toEqual([])
})

it('says what is missing when there is no Node', async () => {
  const env = { PATH: join(root, 'empty') }
  const { status, stderr } = spawnSync('/bin/sh', [join(root, 'sluice'), 'gateway'], { env })
  expect([status, String(stderr)]).toEqual([1, expect.stringContaining('install Node 20 or newer')])
})

describe('the compile cache', () => {
  const compiled = () => readFile(join(root, 'helps'), 'utf8').catch(() => '')
  beforeEach(() => install({ ...needed, ...tool }))

  it('is filled with the part that starts, once, and again after a change of a file', async () => {
    for (const part of ['gateway', 'bridge', 'gateway']) await run([part])
    expect(await compiled()).toBe('gateway cloud-bridge ')
    await writeFile(join(root, 'gateway', 'broker.ts'), '')
    for (const part of ['gateway', 'bridge', 'bridge']) await run([part])
    expect(await compiled()).toBe('gateway cloud-bridge gateway cloud-bridge ')
  })

  it("is in the user's home when the project cannot be written", async () => {
    await writeFile(join(root, 'node_modules', '.cache'), 'a file in its place')
    await mkdir(join(root, 'home'))
    for (const part of ['gateway', 'gateway']) {
      expect(await run([part])).toMatchObject({ code: 0, stdout: 'gateway\n', stderr: '' })
    }
    expect(await compiled()).toBe('gateway ')
    expect(await readdir(join(root, 'home', '.cache', 'sluice'))).toHaveLength(1)
  })

  it('is left out, and nothing is compiled, when nothing can be written', async () => {
    await writeFile(join(root, 'node_modules', '.cache'), 'a file in its place')
    await writeFile(join(root, 'home'), 'a file in its place')
    for (const part of ['gateway', 'gateway']) {
      expect(await run([part])).toMatchObject({ code: 0, stdout: 'gateway\n', stderr: '' })
    }
    expect(await compiled()).toBe('')
  })
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
