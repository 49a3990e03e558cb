import { join } from 'node:path'
import { mulberry32 } from '../../../building/random.ts'
import { storeKeyOf } from './numbered-content.ts'
import { type Sabotage, sabotages } from './sabotage.ts'
import { runSteps } from './steps.ts'
import { openWorkload } from './workload.ts'

/** What a recorded process does: some steps on each store, one store after another. */
export type WorkloadOrders = {
  dir: string
  seed: number
  run: number
  stores: { name: string; steps: number; isLong: boolean }[]
  sabotage: Sabotage | null
}

/** What a process says when it has done all it was told; then it dies. */
export const DONE = 'done'

if (import.meta.main) obey(JSON.parse(process.argv[2]!))

// Some stores are closed in order; the others are left as kill -9 leaves them.
function obey({ dir, seed, run, stores, sabotage }: WorkloadOrders): void {
  if (sabotage) sabotages[sabotage]()
  for (const { name, steps, isLong } of stores) {
    const work = openWorkload(join(dir, name), name, { seed, sabotage })
    runSteps(work, steps, isLong)
    if (mulberry32(storeKeyOf(seed, `${name} closes ${run}`))() < 0.5) work.close()
  }
  process.stdout.write(DONE, () => process.kill(process.pid, 'SIGKILL'))
}
