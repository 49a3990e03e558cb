import { randomBytes } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { eventNumbers } from '../../../cloud-bridge/forward/delivery-context.ts'
import { decodeNote } from '../../../cloud-bridge/ledger/notes/notes.ts'
import { replayReason } from '../../../gateway/store/delivery/replay-period.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { tracedEvent } from '../../config/event/events-fixture.ts'
import { newerSchema } from '../../config/event/newer-schema.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { writeUnder } from '../../gateway/store/older-schema.ts'
import { createTopics, describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { freshTopics, startBridge } from './running-bridge.ts'

const soon = { timeout: 20_000, interval: 10 }
const EVENTS = 5
/** The event that is larger than Kafka accepts. */
const TOO_LARGE = { sequence: 3, zone: 'b', zoneSequence: 2 }

/** An outbox written by a newer program, under a schema that this program does not know. */
function storeOfNewer(file: string): number {
  const outbox = openOutbox({ file, gateway: 'gw' })
  const device = randomBytes(1_200_000).toString('base64')
  outbox.commit({ readings: [reading('a'), reading('b')] })
  outbox.commit({ readings: [reading('b', 0, { device })] })
  outbox.commit({ readings: [reading('a'), reading('b')] })
  const { epoch } = outbox
  outbox.close()
  expect(writeUnder(newerSchema, file)).toBe(EVENTS)
  return epoch
}

it('of an event whose bytes hold another sequence, no number is trusted', () => {
  const value = Buffer.concat([Buffer.alloc(10), newerSchema.type.toBuffer(tracedEvent)])
  const { epoch, sequence, zoneSequence } = tracedEvent
  expect(eventNumbers({ sequence, zone: 'z', value })).toEqual({ epoch, zoneSequence })
  const unknown = { epoch: null, zoneSequence: null }
  expect(eventNumbers({ sequence: sequence + 1, zone: 'z', value })).toEqual(unknown)
  expect(eventNumbers({ sequence, zone: 'z', value: value.subarray(0, 49) })).toEqual(unknown)
})

describeWithKafka('an older program on the outbox of a newer one', () => {
  it('delivers events of an unknown schema, and names a rejected event', async () => {
    using place = temporary()
    const topics = freshTopics()
    const names = Object.values(topics)
    await createTopics(
      sharedKafka(),
      names.map(topic => ({ topic, partitions: 1 })),
    )
    const epoch = storeOfNewer(place.file('outbox.db'))
    const bridge = await startBridge({ dir: place.dir, kafka: sharedKafka(), topics })
    const valuesIn = async (topic: string) =>
      (await readTopic(sharedKafka(), topic)).flat().map(({ value }) => value)
    const noteOf = (kind: string) =>
      vi.waitFor(async () => {
        const value = (await valuesIn(topics.ledger)).find(
          note => JSON.parse(note.toString()).kind === kind,
        )
        expect(value).toBeDefined()
        return value!
      }, soon)
    const delivered = expect.poll(() => bridge.totals.delivered, soon)
    await delivered.toBe(EVENTS - 1)
    const live = await valuesIn(topics.readings)
    expect(live.every(value => value.includes(newerSchema.fingerprint))).toBe(true)
    const { sequence, zone, zoneSequence } = TOO_LARGE
    expect(decodeNote(await noteOf('rejected'), 0)).toMatchObject({
      kind: 'explanation',
      explanation: {
        ...{ kind: 'rejected', epoch, from: sequence, to: sequence },
        zones: [{ zone, first: zoneSequence, count: 1 }],
        reason: expect.stringContaining('TOO_LARGE'),
      },
    })
    bridge.source.addReplay({
      ...{ next: 1, end: EVENTS, zones: null, topic: topics.backfill, partitions: 1 },
      reason: replayReason(0, 1),
    })
    const { content } = JSON.parse((await noteOf('not replayed')).toString())
    expect(content).toMatchObject({ from: sequence, to: sequence, epoch, zone, zoneSequence })
    await expect.poll(() => bridge.totals.replayed, soon).toBe(EVENTS - 1)
    expect(await valuesIn(topics.deadletters)).toHaveLength(1)
    await bridge.stop()
  })
})
