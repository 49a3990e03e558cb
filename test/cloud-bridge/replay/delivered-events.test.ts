import { expect, it } from 'vitest'
import {
  createReplayCommand,
  type ReplayAnswer,
} from '../../../cloud-bridge/replay/replay-command.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'

const limits = { maxEvents: 1000, maxBytes: 1e6 }
/** One zone name for each of the three partitions. */
const zones = [0, 1, 2].map(
  partition =>
    Array.from({ length: 60 }, (_, number) => `zone ${number}`).find(
      name => partitionOf(Buffer.from(name), 3) === partition,
    )!,
)

it('replays all delivered events and no others, despite isolated and backlog ranges', async () => {
  using place = temporary()
  const outboxFile = place.file('outbox.db')
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
  const commit = (groups: number) => {
    for (let group = 0; group < groups; group++) {
      outbox.commit({ readings: zones.map(zone => reading(zone, 0, { receivedAt: Date.now() })) })
    }
  }
  commit(10)
  const inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
  const source = openEventSource({ outboxFile, inbox })
  source.refresh()
  source.ensureLiveRange('r', 3)
  source.plan.isolate(source.readBatch(limits)!, [2])
  const command = createReplayCommand({
    outboxFile,
    source,
    topic: 'b',
    partitionsOf: async () => 3,
  })
  const replay = async (zone?: string) => {
    const input = { from: 0, to: Date.now() + 1000, ...(zone !== undefined && { zone }) }
    const { runs } = (await command(input)) as ReplayAnswer
    return runs
  }
  expect(await replay(zones[2])).toEqual([])
  expect(await replay(zones[0])).toEqual([{ from: 1, to: 28, events: 10 }])
  commit(10)
  source.plan.splitBacklog('b')
  commit(1)
  source.advance(source.readBatch(limits)!)
  const expected = [
    { from: 1, to: 28, events: 10 },
    { from: 61, to: 61, events: 1 },
  ]
  expect(await replay(zones[0])).toEqual(expected)
  expect(await replay(zones[2])).toEqual([])
  source.close()
  inbox.close()
  outbox.close()
})
