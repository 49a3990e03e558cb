import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
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
if (process.argv.includes('--help')) appendFileSync('helps', 'x')
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

type StartOptions = { node?: string; underNpm?: boolean }

// Starts the launcher in a process group of its own, as a shell in a terminal does.
function start(args: string[], { node = process.execPath, underNpm = false }: StartOptions = {}) {
  const env: NodeJS.ProcessEnv = {
    PATH: join(root, 'bin') + delimiter + process.env.PATH,
    TMPDIR: join(root, 'tmp'),
    ...(underNpm && { npm_lifecycle_event: 'start' }),
  }
  const child = spawn(node, [join(root, 'sluice'), ...args], { cwd: root, env, detached: true })
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
    [['nonsense'], /unknown command 'nonsense'[\s\S]*gateway/],
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
    expect(await npmCalls()).toEqual(['ci --loglevel=error --include=optional'])
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

// The part replaces the launcher when Node is new enough and npm did not start the launcher.
describe.each([
  ['that replaces the launcher', {}],
  ['as a child under npm', { underNpm: true }],
])('a part %s', (_, options: StartOptions) => {
  beforeEach(() => install(needed))

  it('ends with its own exit code', async () => {
    expect(await run(['gateway', 'fail'], options)).toMatchObject({ code: 5 })
  })

  it('receives a signal, and the launcher ends with its exit code', async () => {
    const { child, output, ended } = start(['gateway', 'wait'], options)
    await expect.poll(() => output.stdout, waitMs).toBe('gateway wait\n')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 7, signal: null })
  })

  it('receives Ctrl-C from a terminal once, and a later Ctrl-C as a second signal', async () => {
    const { child, output, ended } = start(['gateway', 'wait'], options)
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

it('runs the part without a second process when Node is new enough', async () => {
  await install(needed)
  const { child, ended } = start(['gateway', 'pid'])
  expect((await ended).stdout).toBe(`gateway pid\n${child.pid}\n`)
})

it('compiles all parts once, and again after a change of a file', async () => {
  const compiled = async () => (await readFile(join(root, 'helps'), 'utf8')).length
  await install({ ...needed, ...tool })
  for (const part of ['gateway', 'bridge', 'gateway']) await run([part])
  expect(await compiled()).toBe(folders.length)
  await writeFile(join(root, 'gateway', 'broker.ts'), '')
  for (const part of ['gateway', 'bridge']) await run([part])
  expect(await compiled()).toBe(2 * folders.length)
})

describe('a part as a child', () => {
  beforeEach(() => install(needed))

  it('receives a signal once when terminal and npm both send it', async () => {
    const { child, output, ended } = start(['gateway', 'wait'], { underNpm: true })
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
    await install({ ...needed, ...tool })
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

  it('names the cure when no newer Node is installed', async () => {
    const { code, stdout, stderr } = await run(['gateway'], { node: oldNode! })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/Node 24 is needed, this is v2.*install Node 24/)
  })
})
