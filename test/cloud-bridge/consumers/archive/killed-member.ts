import { parseArgs } from 'node:util'
import { createEvents, feed, openWork, recordsOf, TOPIC } from './fixture.ts'

// A member in a process of its own, to be killed: archives `events` events and prints `done`.
const { dir, events } = parseArgs({
  options: { dir: { type: 'string' }, events: { type: 'string' } },
}).values
await using work = await openWork({ dir: dir! })
await feed(work, TOPIC, recordsOf(createEvents(Number(events))))
process.stdout.write('done\n')
