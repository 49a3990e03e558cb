import { expect, it, vi } from 'vitest'
import type { MovePartitionsAnswer } from '../../../cloud-bridge/partitions/partitions-command.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { temporary } from '../../gateway/store/fixture.ts'
import {
  clients,
  createTopics,
  describeWithKafka,
  readTopic,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'
import { addPartitions } from '../../setup/kafka/topic-settings.ts'
import { freshTopics, startBridge, type Topics } from '../forward/running-bridge.ts'
import { reading } from '../readings.ts'

const zones = Array.from({ length: 25 }, (_, number) => `zone ${number}`)
const soon = { timeout: 25_000, interval: 10 }

/** Topics with this number of partitions, an outbox, and one bridge after the other. */
async function startPlace(
  partitions: number,
  { configured = null, client = 'kafkajs' }: PlaceOptions = {},
) {
  const place = temporary()
  const topics = freshTopics()
  await createTopics(sharedKafka(), [
    { topic: topics.readings, partitions },
    { topic: topics.backfill, partitions },
    { topic: topics.ledger, partitions: 1 },
  ])
  const outbox = openOutbox({ file: place.file('outbox.db'), gateway: 'gw' })
  const open = () =>
    startBridge({
      ...{
        dir: place.file('.'),
        kafka: { ...sharedKafka(), client },
        topics,
        partitions: configured,
      },
      // Small batches, so that a restart can happen between two.
      limits: { batchMaxEvents: 25 },
    })
  let bridge = await open()
  return {
    topics,
    get bridge() {
      return bridge
    },
    get lastSequence() {
      return outbox.lastSequence
    },
    store: (groups: number) => {
      for (let group = 0; group < groups; group++) {
        outbox.commit({ readings: zones.map(zone => reading(zone)), deadLetters: [] })
      }
    },
    move: async (to: number) => (await bridge.move({ to })) as MovePartitionsAnswer,
    restart: async () => {
      await bridge.stop()
      bridge = await open()
    },
    delivered: () => vi.waitFor(() => expect(bridge.source.backlog()?.events).toBe(0), soon),
    async [Symbol.asyncDispose]() {
      await bridge.stop()
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

type PlaceOptions = { configured?: number | null; client?: (typeof clients)[number] }

/** Adds partitions to both topics, as kafka-topics.sh --alter does. */
async function alter({ readings, backfill }: Pick<Topics, 'readings' | 'backfill'>, count: number) {
  for (const topic of [readings, backfill]) await addPartitions(sharedKafka(), topic, count)
}

/** The events of a topic, by partition and offset, with their append times. */
const eventsIn = async (topic: string) =>
  (await readTopic(sharedKafka(), topic)).flatMap(records =>
    records.map(({ value, partition, appendTimeMs }) => ({
      ...decodeEvent(value),
      partition,
      appendTimeMs,
    })),
  )

/** Over how many partitions the events from each sequence on must be spread. */
type Eras = [from: number, partitions: number][]

/**
 * Every event was stored once, in the partition of its era; each zone in order; no event of an era
 * before the last event of the previous era.
 */
async function check({ topics, lastSequence }: Place, eras: Eras) {
  const all = await eventsIn(topics.readings)
  const eraOf = (sequence: number) => eras.findLastIndex(([from]) => sequence >= from)
  expect(all.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(
    Array.from({ length: lastSequence }, (_, index) => index + 1),
  )
  for (const { zone, sequence, partition } of all) {
    const [, count] = eras[eraOf(sequence)]!
    expect(partition).toBe(partitionOf(Buffer.from(zone), count))
  }
  const byEra = eras.map((_, era) => all.filter(({ sequence }) => eraOf(sequence) === era))
  for (const zone of zones) {
    const inOrder = byEra.flatMap(events => events.filter(event => event.zone === zone))
    expect(inOrder.map(({ zoneSequence }) => zoneSequence)).toEqual(
      Array.from(inOrder, (_, index) => index + 1),
    )
  }
  const times = byEra.map(events => events.map(({ appendTimeMs }) => appendTimeMs))
  for (const [era, later] of times.slice(1).entries()) {
    expect(Math.min(...later)).toBeGreaterThanOrEqual(Math.max(...times[era]!))
  }
}
type Place = Pick<Awaited<ReturnType<typeof startPlace>>, 'topics' | 'lastSequence'>

describeWithKafka('zones that move to other partitions', () => {
  it('keep their order over a restart during the move, and no event is stored twice', async () => {
    await using at = await startPlace(3)
    at.store(10)
    await at.delivered()
    await alter(at.topics, 12)
    at.store(80)
    const { before, ...answer } = await at.move(12)
    expect(answer).toEqual({ from: 3, to: 12, sequence: at.lastSequence + 1 })
    expect(before).toMatchObject({ partitions: 3, to: at.lastSequence })
    at.store(20)
    await expect(at.move(7)).rejects.toThrow(/still go to 3 partitions since .* to 12: wait/)
    await at.restart()
    expect(at.bridge.source.ranges.map(({ partitions }) => partitions)).toEqual([3, 12])
    await at.delivered()
    at.store(1)
    await at.delivered()
    await check(at, [
      [1, 3],
      [answer.sequence, 12],
    ])
  })

  it.each(clients)(
    'move to partitions added in Kafka, and to fewer partitions: %s',
    async client => {
      await using at = await startPlace(2, { client })
      at.store(2)
      await at.delivered()
      await expect(at.move(5)).rejects.toThrow(
        `kafka.topics.readings = ${at.topics.readings} has too few partitions, 2 and not 5. ` +
          `kafka-topics.sh --alter --topic ${at.topics.readings} --partitions 5 gives it as many`,
      )
      await alter(at.topics, 5)
      const first = await at.move(5)
      expect(first).toEqual({ from: 2, to: 5, sequence: at.lastSequence + 1, before: null })
      at.store(2)
      await at.delivered()
      const second = await at.move(1)
      at.store(2)
      await at.delivered()
      await check(at, [
        [1, 2],
        [first.sequence, 5],
        [second.sequence, 1],
      ])
    },
  )

  it('move by command only: another configured number is reported once, with the cure', async () => {
    await using at = await startPlace(3, { configured: 2 })
    at.store(1)
    await at.delivered()
    expect(at.bridge.mismatches).toEqual([])
    const { sequence } = await at.move(3)
    at.store(1)
    await at.delivered()
    at.store(1)
    await at.delivered()
    const warning =
      /kafka.partitions is 2, but zones are spread over 3 .*move --to 2, or set the key to 3/
    expect(at.bridge.mismatches).toEqual([expect.stringMatching(warning)])
    await check(at, [
      [1, 2],
      [sequence, 3],
    ])
  })
})
