import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach } from 'vitest'
import { npm } from './launcher-npm.ts'

// Each test has a copy of the launcher and a false npm that installs two packages. Each part of the
// copy prints its arguments and the signals that it receives.
const launcher = fileURLToPath(new URL('../sluice', import.meta.url))
export const needed = { 'node_modules/needed': { version: '1.0.0' } }
export const tool = { 'node_modules/tool': { version: '2.0.0', dev: true } }
const forOthers = { 'node_modules/for-others': { version: '3.0.0', optional: true } }
const lockFile = { packages: { '': { name: 'sluice' }, ...needed, ...tool, ...forOthers } }
const nestedFolders = [
  ...['cloud-bridge/ledger', 'cloud-bridge/partitions', 'cloud-bridge/replay'],
  ...['cloud-bridge/consumers', 'cloud-bridge/consumers/dead-letters'],
  'gateway/inspect',
]
export const folders = ['gateway', 'cloud-bridge', 'simulators', ...nestedFolders]

const part = `
import { appendFileSync } from 'node:fs'
const folder = process.argv[1].split('/').at(-2)
if (process.argv.includes('--help')) appendFileSync('helps', folder + ' ')
let interrupts = 0
process.on('SIGINT', () => console.log('SIGINT ' + ++interrupts))
process.on('SIGTERM', () => process.exit(7))
if (process.argv.includes('fail')) process.exit(5)
if (process.argv.includes('wait')) setInterval(() => {}, 1000)
console.log([folder, ...process.argv.slice(2)].join(' '))
if (process.argv.includes('which')) console.log(process.version, process.execArgv.join(' '))
if (process.argv.includes('pid')) console.log(process.pid)
`
export const waitMs = { timeout: 20_000, interval: 10 }
export const oldNode = findOldNode()

export let root: string
let started: ChildProcess[]

/** Gives each test of a file a folder of its own, and ends what the test has started. */
export function useLauncherFolder(): void {
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
}

export const installation = (packages: object) => JSON.stringify({ packages })
export const npmCalls = async () => {
  const text = await readFile(join(root, 'npm.calls'), 'utf8').catch(() => '')
  return text.split('\n').filter(Boolean)
}
export async function install(packages: object): Promise<void> {
  await mkdir(join(root, 'node_modules'), { recursive: true })
  await writeFile(join(root, 'node_modules', '.package-lock.json'), installation(packages))
}

/** `byShell` starts the launcher by its first line, with a `node` in the PATH. */
export type StartOptions = {
  node?: string
  underNpm?: boolean
  byShell?: boolean
  env?: NodeJS.ProcessEnv
}

// Starts the launcher in a process group of its own, as a shell in a terminal does.
export function start(
  args: string[],
  { node = process.execPath, underNpm = false, byShell = false, env: extraEnv }: StartOptions = {},
) {
  const env: NodeJS.ProcessEnv = {
    HOME: join(root, 'home'),
    PATH: [join(root, 'bin'), dirname(node), process.env.PATH].join(delimiter),
    TMPDIR: join(root, 'tmp'),
    ...(underNpm && { npm_lifecycle_event: 'start' }),
    ...extraEnv,
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
export const run = (args: string[], options?: StartOptions) => start(args, options).ended

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
