import { createInterface } from 'node:readline'
import { openStateStore } from '../../cloud-bridge/consumers/state/configured-store.ts'

/**
 * A process that takes ownership of partition 0, prints `claimed`, and commits one row per input
 * line.
 */
const [place, consumer] = process.argv.slice(2) as [string, string]
const store = openStateStore(JSON.parse(place))
const state = await (await store.open(consumer)).claim(0)
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
