import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStateStore } from '../../cloud-bridge/consumers/state/configured-store.ts'
import { type PartitionState, StateUnavailable } from '../../cloud-bridge/consumers/state/state.ts'

/**
 * A process that takes ownership of partition 0, prints `claimed`, and commits one row per input
 * line. Like the runtime, the process tries again while the state is unavailable.
 */
const [place, consumer] = process.argv.slice(2) as [string, string]
const store = openStateStore(JSON.parse(place))
const state = await claim()
console.log('claimed')
for await (const line of createInterface({ input: process.stdin })) {
  const rows = new Map([[line, Buffer.from(line)]])
  const fate = await state.commit({ rows }).then(
    () => 'committed',
    error => error.constructor.name,
  )
  console.log(fate)
}
process.exit(0)

async function claim(): Promise<PartitionState> {
  try {
    return await (await store.open(consumer)).claim(0)
  } catch (error) {
    if (!(error instanceof StateUnavailable)) throw error
    await sleep(100)
    return claim()
  }
}
