import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { endProcess, spawnGuarded } from '../../../simulators/processes/supervisor.ts'

const FLAGS = [
  '--disable-warning=ExperimentalWarning',
  // kafkajs 2 asks for timers in the past.
  '--disable-warning=TimeoutNegativeWarning',
]
const END_MS = 2000

/**
 * A file of the bench, named by its path below test/bench, as a process of its own that answers in
 * lines of JSON.
 */
export type BenchProcess = AsyncDisposable & {
  pid: number
  /**
   * The next answer. Rejects when the process ended without an answer or answers with an `error`.
   */
  answer<T>(): Promise<T>
  /** Sends one line of JSON. */
  say(message: unknown): void
}

/**
 * Starts a bench process with additional flags for Node. `signal` ends the process. The process
 * never outlives this process.
 */
export async function startBenchProcess(
  file: string,
  argument: unknown,
  signal: AbortSignal,
  flags: readonly string[] = [],
): Promise<BenchProcess> {
  signal.throwIfAborted()
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
  const args = [...FLAGS, ...flags, path, JSON.stringify(argument)]
  const child = await spawnGuarded(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  // A message to a process that has just ended may be lost.
  child.stdin!.on('error', () => {})
  const end = () => void endProcess(child, END_MS)
  signal.addEventListener('abort', end, { once: true })
  return {
    pid: child.pid!,
    async answer() {
      const line = await lines.next()
      if (line.done) throw new Error(`${file} ended without an answer; its standard error is above`)
      const answer = JSON.parse(line.value)
      if (answer.error) throw new Error(answer.error)
      return answer
    },
    say: message => void child.stdin!.write(`${JSON.stringify(message)}\n`),
    async [Symbol.asyncDispose]() {
      signal.removeEventListener('abort', end)
      await endProcess(child, END_MS)
    },
  }
}

/** Starts a bench process, waits for its answer, ends the process, and returns the answer. */
export async function runBenchProcess<T>(
  file: string,
  argument: unknown,
  signal: AbortSignal,
  flags: readonly string[] = [],
): Promise<T> {
  await using bench = await startBenchProcess(file, argument, signal, flags)
  return await bench.answer<T>()
}
