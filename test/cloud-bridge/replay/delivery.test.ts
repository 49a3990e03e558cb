import { randomBytes } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { deliverBackfill } from '../../../cloud-bridge/forward/backfill-delivery.ts'
import type { DeliveryContext } from '../../../cloud-bridge/forward/delivery-context.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import { EXPLAINING_KINDS } from '../../../cloud-bridge/ledger/notes/notes.ts'
import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'
import type { ReplayAnswer } from '../../../cloud-bridge/replay/replay-command.ts'
import { createFlows } from '../../../cloud-bridge/retry/flow-status.ts'
import { defaults } from '../../../config/config.ts'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { replayReason } from '../../../gateway/store/delivery/replay-period.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { createTopics, describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { freshTopics, startBridge, type Topics } from '../forward/running-bridge.ts'

const partitions = 3
const zones = ['a', 'Halle 1/Süd', 'c', 'd', 'e', 'f', 'g']
const BASE = 1_700_000_000_000
const soon = { timeout: 20_000, interval: 5 }

/** A bridge on an outbox of groups a second apart, each with an event of each zone. */
async function startPlace(
  groups: number,
  createdTopics: (keyof Topics)[] = ['readings', 'backfill'],
) {
  const place = temporary()
  const topics = freshTopics()
  const create = (...names: (keyof Topics)[]) =>
    createTopics(
      sharedKafka(),
      names.map(name => ({ topic: topics[name], partitions })),
    )
  await create(...createdTopics)
  const outbox = openOutbox({ file: place.file('outbox.db'), gateway: 'gw' })
  for (let group = 0; group < groups; group++) {
    const readings = zones.map(zone => reading(zone, group * 1000))
    outbox.commit({ readings, deadLetters: [] })
  }
  const start = () => {
    const limits = { batchMaxEvents: 20, lingerMs: 5 }
    return startBridge({ dir: place.dir, kafka: sharedKafka(), topics, limits })
  }
  let bridge = await start()
  const delivered = () => vi.waitFor(() => expect(bridge.source.backlog()?.events).toBe(0), soon)
  return {
    ...{ topics, create, outbox, delivered },
    get bridge() {
      return bridge
    },
    /** Adds a replay of all zones without the checks of the command. */
    add: (next: number, end: number) =>
      bridge.source.addReplay({
        ...{ next, end, zones: null, topic: topics.backfill, partitions },
        reason: replayReason(BASE, BASE + 1),
      }),
    async restart() {
      await bridge.stop()
      bridge = await start()
      await delivered()
    },
    /** Replays the events received in these seconds, of one zone or of all. */
    replay: (from: number, to: number, zone?: string) =>
      bridge.replay({
        ...{ from: BASE + from * 1000, to: BASE + to * 1000 },
        ...(zone !== undefined && { zone }),
      }) as Promise<ReplayAnswer>,
    done: () => vi.waitFor(() => expect(bridge.source.ranges).toHaveLength(1), soon),
    async [Symbol.asyncDispose]() {
      await bridge.stop()
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

type Value = { key: string; value: string; event: SensorReading; partition: number }

async function valuesIn(topic: string): Promise<Value[]> {
  const records = (await readTopic(sharedKafka(), topic)).flat()
  return records.map(({ key, value, partition }) => ({
    ...{ key: String(key), value: value.toString('hex'), event: decodeEvent(value), partition },
  }))
}

const bySequence = (a: Value, b: Value) => a.event.sequence - b.event.sequence

async function notesIn(topic: string) {
  const records = (await readTopic(sharedKafka(), topic)).flat()
  return records.map(({ value }) => JSON.parse(String(value)))
}

describeWithKafka('a replay', () => {
  it('sends exactly the requested events, same ids and bytes, in order, over a restart', async () => {
    await using at = await startPlace(600)
    await at.delivered()
    const [zone] = zones.slice(1)
    const answer = await at.replay(100, 500, zone)
    expect(answer.runs).toEqual([{ from: 702, to: 3495, events: 400 }])
    expect(answer.topic).toBe(at.topics.backfill)
    await vi.waitFor(() => expect(at.bridge.totals.replayed).toBeGreaterThan(50), soon)
    await at.restart()
    expect(at.bridge.source.ranges).toHaveLength(2)
    await at.done()
    expect(at.bridge.totals.replayed).toBeLessThan(350)
    expect(at.bridge.totals.delivered).toBe(0)

    const live = await valuesIn(at.topics.readings)
    const replayed = await valuesIn(at.topics.backfill)
    expect(live).toHaveLength(600 * zones.length)
    const expected = live.filter(({ event }) => {
      const { receivedAt } = event
      return event.zone === zone && receivedAt >= BASE + 100_000 && receivedAt < BASE + 500_000
    })
    expect(expected).toHaveLength(400)
    expect(replayed).toEqual(expected)
  })

  it('of all zones keeps the order of each, and a second replay follows the first', async () => {
    await using at = await startPlace(100)
    await at.delivered()
    expect((await at.replay(10, 50)).runs).toMatchObject([{ events: 280 }])
    expect((await at.replay(0, 5)).runs).toMatchObject([{ events: 35 }])
    await at.done()
    const live = await valuesIn(at.topics.readings)
    const replayed = await valuesIn(at.topics.backfill)
    for (const zone of zones) {
      const numbers = replayed
        .filter(({ key }) => key === zone)
        .map(({ event }) => event.zoneSequence)
      const expected = Array.from({ length: 45 }, (_, n) => (n < 40 ? n + 11 : n - 39))
      expect(numbers).toEqual(expected)
    }
    const sent = live.sort(bySequence).filter(({ event: { sequence } }) => {
      return (sequence > 70 && sequence <= 350) || sequence <= 35
    })
    expect(replayed.sort(bySequence)).toEqual(sent)
  })

  it('waits for its topic and reports what is missing; live events are delivered meanwhile', async () => {
    await using at = await startPlace(10, ['readings'])
    await at.delivered()
    at.add(1, 7)
    await vi.waitFor(() => {
      expect(at.bridge.waitReasons.backfill).toMatch(
        /kafka.topics.backfill = .*: Kafka has no such topic/,
      )
    }, soon)
    at.outbox.commit({ readings: [reading('a')], deadLetters: [] })
    await vi.waitFor(() => expect(at.bridge.totals.delivered).toBe(71), soon)
    expect(at.bridge.waitReasons.events).toBeNull()
    expect(at.bridge.source.backlog()?.events).toBe(0)
    await at.create('backfill')
    await at.done()
    expect(at.bridge.waitReasons.backfill).toBeNull()
    expect(await valuesIn(at.topics.backfill)).toHaveLength(7)
  })

  it('reports that its topic has too few partitions, although Kafka did not answer before', async () => {
    await using at = await startPlace(3, ['readings'])
    await at.delivered()
    await createTopics(sharedKafka(), [{ topic: at.topics.backfill, partitions: 1 }])
    at.add(1, 7)
    await vi.waitFor(() => {
      expect(at.bridge.waitReasons.backfill).toMatch(
        /too few partitions, 1 and not 3.*--partitions 3/,
      )
    }, soon)
  })

  it('ends although events are pruned or rejected, with notes that name no hole', async () => {
    await using at = await startPlace(20, ['readings', 'backfill', 'ledger', 'deadletters'])
    const device = randomBytes(1_200_000).toString('hex')
    at.outbox.commit({ readings: [reading('a', 20_000, { device })], deadLetters: [] })
    await at.delivered()
    at.outbox.pruning.prune({ sequence: 64, to: 70 })
    at.add(64, 141)
    at.add(1, 10)
    await at.done()
    const replayed = (await valuesIn(at.topics.backfill)).map(({ event }) => event.sequence)
    expect(replayed.sort((a, b) => a - b)).toEqual(Array.from({ length: 70 }, (_, n) => 71 + n))
    const notes = await vi.waitFor(async () => {
      const all = await notesIn(at.topics.ledger)
      const notReplayed = all.filter(({ kind }) => kind === 'not replayed')
      expect(notReplayed).toHaveLength(3)
      return notReplayed.map(({ content: { from, to, reason } }) => [from, to, reason])
    }, soon)
    const gone = 'no longer in the outbox'
    expect(notes).toEqual([
      [64, 70, gone],
      [141, 141, expect.stringContaining('TOO_LARGE')],
      [1, 10, gone],
    ])
    expect(EXPLAINING_KINDS).not.toContain('not replayed')
    expect(await notesIn(at.topics.deadletters)).toHaveLength(1)
    expect(at.bridge.totals).toMatchObject({ delivered: 140, rejected: 1, replayed: 70 })
  })
})

/** Replays three events, one after the other. */
async function replayThree(sent: number[], isLiveBusy: () => boolean) {
  const ending = new AbortController()
  const range = { id: 1, partitions: 3, topic: 'backfill', kind: 'replay' }
  const event = (sequence: number) => ({ sequence, zone: 'a', value: Buffer.of(1) })
  let next = 1
  const backfill = {
    readBatch: () => (next > 3 ? null : { range, events: [event(next)], next: next + 1 }),
    advance: (pending: { next: number }) => {
      next = pending.next
    },
    redirect: () => {},
  }
  const sink = {
    send: async ({ records }: Batch) => {
      sent.push(next)
      if (next === 3) ending.abort()
      return records.map(() => null)
    },
    async [Symbol.asyncDispose]() {},
  }
  const live = {
    get isBusy() {
      return isLiveBusy()
    },
  }
  const context: Partial<DeliveryContext> = {
    config: defaults,
    source: { backfill, ranges: [range] } as never,
    framing: singleObjectFraming,
    openSink: () => sink as never,
    partitionsOf: async () => 3,
    metrics: { replayed() {} } as never,
    flows: createFlows({ firstMs: 1, maxMs: 1, stableMs: 0 }),
    signal: ending.signal,
  }
  await deliverBackfill(context as DeliveryContext, live)
}

it('lets live events pass before each batch', async () => {
  const checks: number[] = []
  const sent: number[] = []
  await replayThree(sent, () => {
    checks.push(sent.length)
    return checks.length < 3 || (sent.length === 1 && checks.length < 6)
  })
  expect(sent).toEqual([1, 2, 3])
  expect(checks).toEqual([0, 0, 0, 1, 1, 1, 2])
})
