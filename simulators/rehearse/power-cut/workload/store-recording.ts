import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { recorderEnv } from '../../inject/recorder.ts'
import { createModelDisk } from '../disk-model/disk.ts'
import { parseRecording, type RecordedCall } from '../recording/recorded-calls.ts'
import { DONE, type WorkloadOrders } from './recorded-process.ts'

const PROGRAM = fileURLToPath(new URL('./recorded-process.ts', import.meta.url))
const PROCESSES = 3

/**
 * Runs several processes on the stores, one after another. Each process is killed at its end.
 * Returns the recorded calls by store. Throws an Error when a process ends before its work is done,
 * and when a replay of the calls does not give the files on disk, because an incomplete recording
 * proves nothing.
 */
export function recordStores(
  library: string,
  dir: string,
  orders: Omit<WorkloadOrders, 'dir' | 'run'>,
): Promise<Map<string, RecordedCall[]>> {
  return recordProcesses(library, dir, {
    names: orders.stores.map(({ name }) => name),
    argsOf(run, recordedDir) {
      const runOrders: WorkloadOrders = { ...orders, dir: recordedDir, run }
      return [PROGRAM, JSON.stringify(runOrders)]
    },
  })
}

/**
 * Runs several processes one after another, with Node's arguments that `argsOf` returns, on one
 * folder for each of the `names`. Returns and throws as `recordStores`.
 */
export async function recordProcesses(
  library: string,
  dir: string,
  { names, argsOf }: { names: string[]; argsOf(run: number, recordedDir: string): string[] },
): Promise<Map<string, RecordedCall[]>> {
  const recorded = join(dir, 'recorded')
  const logs: Buffer[] = []
  for (const name of names) await mkdir(join(recorded, name), { recursive: true })
  for (let run = 0; run < PROCESSES; run++) {
    const log = join(dir, 'log')
    const output = await outputOf(
      argsOf(run, recorded),
      recorderEnv(library, { dir: recorded, log }),
    )
    if (output !== DONE) throw new Error(`process ${run} ended before its work was done: ${output}`)
    logs.push(await readFile(log))
    await rm(log)
  }
  const stores = parseRecording(logs)
  for (const [name, calls] of stores) await checkStore(join(recorded, name), calls)
  await rm(recorded, { recursive: true })
  return stores
}

async function checkStore(dir: string, calls: RecordedCall[]): Promise<void> {
  const disk = createModelDisk()
  for (const call of calls) disk.apply(call)
  const files = disk.now
  const isRecorded = (name: string) => !/^marks$|-shm$|\.lock/.test(name)
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const names = entries
    .filter(entry => entry.isFile() && isRecorded(entry.name))
    .map(entry => relative(dir, join(entry.parentPath, entry.name)))
  if (names.sort().join() !== [...files.keys()].sort().join()) throw incomplete(dir)
  for (const name of names) {
    if (!files.get(name)!.equals(await readFile(join(dir, name)))) throw incomplete(join(dir, name))
  }
}

const incomplete = (path: string) =>
  new Error(`the recording is incomplete: a replay differs from ${path}`)

/** The standard output and standard error of a process, whatever its exit code. */
function outputOf(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { env }, (_, out, error) => resolve(out + error))
  })
}
