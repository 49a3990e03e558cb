import { expect, inject, it, vi } from 'vitest'
import type { Frame } from '../../../cloud-bridge/forwarder.ts'
import { startFraming } from '../../../cloud-bridge/framing.ts'
import { openKafka } from '../../../cloud-bridge/kafka/kafka.ts'
import { startFeed } from '../../../cloud-bridge/ledger/feed.ts'
import { startLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import { startEventReader } from '../../../cloud-bridge/registry/event-reader.ts'
import { openRegistry } from '../../../cloud-bridge/registry/registry.ts'
import { startSchemaIds } from '../../../cloud-bridge/registry/schema-ids.ts'
import { decodeEvent, encodeEvent } from '../../../config/events.ts'
import { newest, schemas } from '../../../config/schemas/released.ts'
import type { Inbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { replayReason } from '../../../gateway/store/replays.ts'
import { tracedEvent } from '../../config/events-fixture.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { writeUnder } from '../../gateway/store/older.ts'
import { createTopics, readTopic, shared } from '../../setup/kafka.ts'
import { describeWithRegistry, registryAt, startGate } from '../../setup/registry.ts'
import { freshTopics, startBridge } from '../running-bridge.ts'

const soon = { timeout: 20_000, interval: 10 }
const zones = ['a', 'b', 'Halle 1/Süd']
const first = schemas[0]!
const { traceparent } = tracedEvent
/** The traced event as a program writes it whose schema has a floor before the trace. */
function withFloor(): Buffer {
  const datum = encodeEvent(tracedEvent).subarray(10)
  const trace = datum.length - 57
  return Buffer.concat([
    datum.subarray(0, trace),
    Buffer.from('\u0002\u0004up'),
    datum.subarray(trace),
  ])
}

/** An outbox in which the older half of the events was written by the program before. */
function storeAcrossUpgrade(file: string): number {
  const box = () => openOutbox({ file, gateway: 'gw' })
  const commit = (to: ReturnType<typeof box>, traceparent: string | null) => {
    const readings = zones.map((zone, number) => reading(zone, number, { traceparent }))
    to.commit({ readings, deadLetters: [] })
  }
  const before = box()
  for (let group = 0; group < 5; group++) commit(before, null)
  before.close()
  expect(writeUnder(first, file)).toBe(15)
  const after = box()
  for (let group = 0; group < 5; group++) commit(after, traceparent)
  const { lastSequence } = after
  after.close()
  return lastSequence
}

/** A bridge on that outbox, its numbers from the shared registry through a gate. */
async function startPlace() {
  const place = temporary()
  const gate = await startGate()
  const topics = freshTopics()
  const names = [topics.readings, topics.backfill, topics.deadletters, topics.ledger]
  await createTopics(
    shared(),
    names.map(topic => ({ topic, partitions: 2 })),
  )
  const events = storeAcrossUpgrade(place.file('outbox.db'))
  const framing = (inbox: Inbox, signal: AbortSignal): Frame => {
    const registry = openRegistry(registryAt(gate.url, { signal }))
    const schemaIdOf = startSchemaIds({ registry, inbox, onChanged: () => {} })
    return startFraming({ schemaIdOf, cloudEvents: false })
  }
  return {
    ...{ events, gate, topics },
    start: (withRegistry: boolean) =>
      startBridge({ dir: place.dir, kafka: shared(), topics, ...(withRegistry && { framing }) }),
    read: async (topic: string) => (await readTopic(shared(), topic)).flat(),
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]()
      place[Symbol.dispose]()
    },
  }
}
type Bridge = Awaited<ReturnType<typeof startBridge>>
const delivered = (bridge: Bridge, count: number) =>
  vi.waitFor(() => expect(bridge.totals.delivered).toBe(count), soon)
const replayed = (bridge: Bridge, count: number) =>
  vi.waitFor(() => expect(bridge.totals.replayed).toBe(count), soon)
const replayAll = (bridge: Bridge, topic: string, end: number) =>
  bridge.source.addReplay({
    ...{ next: 1, end, zones: null, topic, partitions: 2, reason: replayReason(0, 1) },
  })

/** Which schema each value names, by its registry, and that all can be read. */
async function versionsIn(records: { value: Buffer }[], topic: string) {
  const registry = openRegistry(registryAt(inject('registryUrl')!))
  const known = await registry.schemasOf(`${topic}-value`)
  const versionOf = new Map(
    [...known].map(([id, schema]) => [
      id,
      schemas.find(({ text }) => text === JSON.stringify(schema))?.version,
    ]),
  )
  return records
    .map(({ value }) => ({ ...decodeEvent(value), version: versionOf.get(value.readUInt32BE(1)) }))
    .sort((a, b) => a.sequence - b.sequence)
    .map(({ version }) => version)
}

describeWithRegistry('an upgrade that brings a schema', () => {
  const half = Array.from({ length: 15 }, () => 1)
  const versions = [...half, ...half.map(() => newest.version)]

  it('sends what waits under the number of the schema that it was written under', async () => {
    await using place = await startPlace()
    const { topics, events } = place
    const bridge = await place.start(true)
    await delivered(bridge, events)
    replayAll(bridge, topics.backfill, events)
    await replayed(bridge, events)
    await bridge.stop()
    for (const topic of [topics.readings, topics.backfill]) {
      const records = await place.read(topic)
      expect(await versionsIn(records, topic)).toEqual(versions)
      const traces = records.map(({ headers }) => headers.traceparent?.toString() ?? null)
      const stored = records.map(({ value }) => decodeEvent(value).traceparent)
      expect(traces).toEqual(stored)
      expect(traces.filter(one => one === traceparent)).toHaveLength(15)
    }
  })

  it('holds events while a registry is away that never gave a number, and says so', async () => {
    await using place = await startPlace()
    place.gate.mode = 'cut'
    const bridge = await place.start(true)
    await vi.waitFor(() => expect(bridge.away.events).toContain('is away: socket hang up'), soon)
    place.gate.mode = { status: 409, body: '{"error_code":409,"message":"no"}' }
    await vi.waitFor(() => expect(bridge.away.events).toContain('(409: no). Remove there'), soon)
    expect(bridge.totals.delivered).toBe(0)
    place.gate.mode = 'pass'
    await delivered(bridge, place.events)
    expect(bridge.away.events).toBe(null)
    await bridge.stop()
  })

  it('is read by the ledger in both framings on one topic', async () => {
    await using place = await startPlace()
    const { topics, events } = place
    const before = await place.start(false)
    await delivered(before, events)
    replayAll(before, topics.backfill, 20)
    await replayed(before, 20)
    await before.stop()
    const after = await place.start(true)
    replayAll(after, topics.backfill, events)
    await replayed(after, events)
    await after.stop()
    const framings = (await place.read(topics.backfill)).map(({ value }) => value[0])
    expect(framings.filter(one => one === 0xc3)).toHaveLength(20)
    expect(framings.filter(one => one === 0)).toHaveLength(events)

    const { stream } = await openKafka(shared())
    const ledger = startLedger()
    const reader = startEventReader(openRegistry(registryAt(place.gate.url)))
    const feed = startFeed({ stream, ledger, topics, reader })
    await feed.readOn()
    expect(feed.foreign).toBe(0)
  })

  it('of somebody else’s is read with the registry, when it can be', async () => {
    const topic = `newer-${Math.random()}`
    const newer = JSON.parse(newest.text)
    newer.fields.splice(-1, 0, { name: 'floor', type: ['null', 'string'], default: null })
    const schema = { ...newest, version: newest.version + 1, text: JSON.stringify(newer) }
    const registry = openRegistry(registryAt(inject('registryUrl')!))
    const id = await registry.idOf(`${topic}-value`, schema)
    const header = Buffer.alloc(5)
    header.writeUInt32BE(id, 1)
    const value = Buffer.concat([header, withFloor()])
    await using gate = await startGate()
    const reader = startEventReader(openRegistry(registryAt(gate.url)))
    gate.mode = 'cut'
    await reader.learn([topic])
    expect(reader.read(value)).toBe(null)
    gate.mode = 'pass'
    await reader.learn([topic])
    expect(reader.read(value)).toEqual(tracedEvent)
    expect(reader.read(value.subarray(0, 40))).toBe(null)
  })
})
