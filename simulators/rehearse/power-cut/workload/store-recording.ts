import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { recorderEnv } from '../../inject/recorder.ts'
import { createModelDisk } from '../disk-model/disk.ts'
import { parseRecording, type RecordedCall } from '../recording/recorded-calls.ts'
import { DONE, type WorkloadOrders } from './recorded-process.ts'

const PROGRAM = fileURLToPath(new URL('./recorded-process.ts', import.meta.url))
const PROCESSES = 3

/**
 * Has several processes, one after another and each killed in the end, work on some stores, and
 * gives what they did. Throws an Error when one ends before its work is done, and when the
 * recording does not lead to the files that are there: then it is not whole, and proves nothing.
 */
export async function recordStores(
  library: string,
  dir: string,
  orders: Omit<WorkloadOrders, 'dir' | 'run'>,
): Promise<Map<string, RecordedCall[]>> {
  const recorded = join(dir, 'recorded')
  const logs: Buffer[] = []
  for (const { name } of orders.stores) await mkdir(join(recorded, name), { recursive: true })
  for (let run = 0; run < PROCESSES; run++) {
    const log = join(dir, 'log')
    const all: WorkloadOrders = { ...orders, dir: recorded, run }
    const env = recorderEnv(library, { dir: recorded, log })
    const said = await outputOf([PROGRAM, JSON.stringify(all)], env)
    if (said !== DONE) throw new Error(`the workload ended too early: ${said}`)
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
  const isMeant = (name: string) => !/^marks$|-shm$|\.lock/.test(name)
  const there = (await readdir(dir)).filter(isMeant)
  if (there.sort().join() !== [...files.keys()].sort().join()) throw notWhole(dir)
  for (const name of there) {
    if (!files.get(name)!.equals(await readFile(join(dir, name)))) throw notWhole(join(dir, name))
  }
}

const notWhole = (path: string) => new Error(`the recording does not lead to what is in ${path}`)

/** What a process says before it dies, however it dies. */
function outputOf(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { env }, (_, out, error) => resolve(out + error))
  })
}
