import { execFile } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { recordedBy } from '../recorder.ts'
import { DONE, type Orders } from './process.ts'
import { type Call, readRecording } from './recording.ts'

const PROGRAM = fileURLToPath(new URL('process.ts', import.meta.url))
const PROCESSES = 3

/**
 * Has several processes, one after another and each but the last killed in the middle, work on some
 * stores, and gives what they did. Throws an Error when one ends before its work is done.
 */
export async function recordStores(
  library: string,
  dir: string,
  orders: Omit<Orders, 'dir' | 'run'>,
): Promise<Map<string, Call[]>> {
  const recorded = join(dir, 'recorded')
  const logs: Buffer[] = []
  for (const { name } of orders.stores) await mkdir(join(recorded, name), { recursive: true })
  for (let run = 0; run < PROCESSES; run++) {
    const log = join(dir, 'log')
    const all: Orders = { ...orders, dir: recorded, run }
    const env = recordedBy(library, { dir: recorded, log })
    const said = await outputOf([PROGRAM, JSON.stringify(all)], env)
    if (said !== DONE) throw new Error(`the workload ended too early: ${said}`)
    logs.push(await readFile(log))
    await rm(log)
  }
  await rm(recorded, { recursive: true })
  return readRecording(logs)
}

/** What a process says before it dies, however it dies. */
function outputOf(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { env }, (_, out, error) => resolve(out + error))
  })
}
