import { parseArgs } from 'node:util'
import { feed, openWork, recordsOf, someEvents, TOPIC } from './fixture.ts'

// A member of its own process, for who kills it: archives so many events, and says `done`.
const { dir, events } = parseArgs({
  options: { dir: { type: 'string' }, events: { type: 'string' } },
}).values
await using work = await openWork({ dir: dir! })
await feed(work, TOPIC, recordsOf(someEvents(Number(events))))
process.stdout.write('done\n')
