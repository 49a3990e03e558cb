import { join } from 'node:path'
import { mulberry32 } from '../../../building/random.ts'
import { storeKeyOf } from './numbered-content.ts'
import { type Sabotage, sabotages } from './sabotage.ts'
import { runSteps } from './steps.ts'
import { openWorkload } from './workload.ts'

/** The orders of a recorded process: a number of steps on each store, one store after another. */
export type WorkloadOrders = {
  dir: string
  seed: number
  run: number
  stores: { name: string; steps: number; isLong: boolean }[]
  sabotage: Sabotage | null
}

/** What a process prints when it has done all its work. Then the process kills itself. */
export const DONE = 'done'

if (import.meta.main) execute(JSON.parse(process.argv[2]!))

// Closes some stores cleanly; the other stores stay as kill -9 leaves them.
function execute({ dir, seed, run, stores, sabotage }: WorkloadOrders): void {
  if (sabotage) sabotages[sabotage]()
  for (const { name, steps, isLong } of stores) {
    const work = openWorkload(join(dir, name), name, { seed, sabotage })
    runSteps(work, steps, isLong)
    if (mulberry32(storeKeyOf(seed, `${name} closes ${run}`))() < 0.5) work.close()
  }
  process.stdout.write(DONE, () => process.kill(process.pid, 'SIGKILL'))
}
