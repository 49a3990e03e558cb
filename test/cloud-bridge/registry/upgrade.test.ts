import { expect, inject, it, vi } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { createLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../cloud-bridge/ledger/topics/topic-reader.ts'
import { createEventReader } from '../../../cloud-bridge/registry/event-reader.ts'
import { createRegistryClient } from '../../../cloud-bridge/registry/registry.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { newestSchema, releasedSchemas } from '../../../config/schemas/released.ts'
import { tracedEvent } from '../../config/event/events-fixture.ts'
import { newerSchema } from '../../config/event/newer-schema.ts'
import { createTopics, openKafkaSink, sharedKafka } from '../../setup/kafka/kafka.ts'
import {
  describeWithRegistry,
  registryAt,
  startRegistryGate,
} from '../../setup/registry/registry.ts'
import { freshTopics, type Topics } from '../forward/running-bridge.ts'
import {
  delivered,
  OLDER_EVENTS,
  replayed,
  replayUpTo,
  retrying,
  startUpgradedSite,
} from './upgraded-site.ts'

const { traceparent } = tracedEvent

/** Decodes every value; returns the schema versions that the values name by registry id. */
async function versionsIn(records: { value: Buffer }[], topic: string) {
  const registry = createRegistryClient(registryAt(inject('registryUrl')!))
  const schemas = await registry.schemasOf(`${topic}-value`)
  const versionOf = new Map(
    [...schemas].map(([id, schema]) => [
      id,
      releasedSchemas.find(({ text }) => text === JSON.stringify(schema))?.version,
    ]),
  )
  return records
    .map(({ value }) => ({ ...decodeEvent(value), version: versionOf.get(value.readUInt32BE(1)) }))
    .sort((a, b) => a.sequence - b.sequence)
    .map(({ version }) => version)
}

/** The numbers of events and of other values that the ledger finds in these topics. */
async function ledgerOf(topics: Topics, registryUrl: string) {
  const { stream } = await createKafkaClient(sharedKafka())
  const ledger = createLedger()
  const reader = createEventReader(createRegistryClient(registryAt(registryUrl)))
  const feed = createTopicReader({ stream, ledger, topics, reader })
  await feed.readToEnd()
  const events = [...ledger.gateways.values()].reduce((sum, one) => sum + one.events, 0)
  return { events, foreign: feed.foreign }
}

describeWithRegistry('an upgrade that brings a schema', () => {
  const half = Array.from({ length: OLDER_EVENTS }, () => 1)
  const versions = [...half, ...half.map(() => newestSchema.version)]

  it('sends waiting events under the id of the schema that encoded them', async () => {
    await using site = await startUpgradedSite()
    const { topics, events } = site
    const bridge = await site.start(true)
    await delivered(bridge, events)
    replayUpTo(bridge, topics.backfill, events)
    await replayed(bridge, events)
    await bridge.stop()
    for (const topic of [topics.readings, topics.backfill]) {
      const records = await site.read(topic)
      expect(await versionsIn(records, topic)).toEqual(versions)
      const traces = records.map(({ headers }) => headers.traceparent?.toString() ?? null)
      const stored = records.map(({ value }) => decodeEvent(value).traceparent)
      expect(traces).toEqual(stored)
      expect(traces.filter(trace => trace === traceparent)).toHaveLength(OLDER_EVENTS)
    }
  })

  it('holds events while the registry is unavailable and the id unknown, and reports it', async () => {
    await using site = await startUpgradedSite()
    site.gate.mode = 'cut'
    const bridge = await site.start(true)
    await vi.waitFor(
      () => expect(bridge.waitReasons.events).toContain('is unavailable: socket hang up'),
      retrying,
    )
    site.gate.mode = { status: 409, body: '{"error_code":409,"message":"no"}' }
    await vi.waitFor(
      () => expect(bridge.waitReasons.events).toContain('(409: no). Remove other'),
      retrying,
    )
    expect(bridge.totals.delivered).toBe(0)
    site.gate.mode = 'pass'
    await delivered(bridge, site.events)
    expect(bridge.waitReasons.events).toBe(null)
    await bridge.stop()
  })

  it('can be read by the ledger in both framings on one topic', async () => {
    await using site = await startUpgradedSite()
    const { topics, events } = site
    const before = await site.start(false)
    await delivered(before, events)
    replayUpTo(before, topics.backfill, 20)
    await replayed(before, 20)
    await before.stop()
    const after = await site.start(true)
    replayUpTo(after, topics.backfill, events)
    await replayed(after, events)
    await after.stop()
    const live = (await site.read(topics.readings)).map(({ value }) => value.subarray(2, 10))
    expect(live.filter(one => one.equals(releasedSchemas[0]!.fingerprint))).toHaveLength(
      OLDER_EVENTS,
    )
    expect(live.filter(one => one.equals(newestSchema.fingerprint))).toHaveLength(
      events - OLDER_EVENTS,
    )
    const framings = (await site.read(topics.backfill)).map(({ value }) => value[0])
    expect(framings.filter(one => one === 0xc3)).toHaveLength(20)
    expect(framings.filter(one => one === 0)).toHaveLength(events)
    expect(await ledgerOf(topics, site.gate.url)).toEqual({ events, foreign: 0 })
  })

  it('to a newer program can be read by the ledger while the registry is available', async () => {
    const topics = freshTopics()
    const names = [topics.readings, topics.backfill, topics.ledger]
    await createTopics(
      sharedKafka(),
      names.map(topic => ({ topic, partitions: 1 })),
    )
    const registry = createRegistryClient(registryAt(inject('registryUrl')!))
    const header = Buffer.alloc(5)
    header.writeUInt32BE(await registry.idOf(`${topics.readings}-value`, newerSchema), 1)
    const datum = newerSchema.type.toBuffer({ ...tracedEvent, floor: 'up' })
    const value = Buffer.concat([header, datum])
    await using sink = await openKafkaSink(sharedKafka())
    const records = [{ key: Buffer.from('z'), partition: 0, value }]
    await sink.send({ topic: topics.readings, records })

    await using gate = await startRegistryGate()
    gate.mode = 'cut'
    expect(await ledgerOf(topics, gate.url)).toEqual({ events: 0, foreign: 1 })
    gate.mode = 'pass'
    expect(await ledgerOf(topics, gate.url)).toEqual({ events: 1, foreign: 0 })
    const reader = createEventReader(createRegistryClient(registryAt(gate.url)))
    await reader.loadSchemas([topics.readings])
    expect(reader.read(value)).toEqual(tracedEvent)
    expect(reader.read(value.subarray(0, 40))).toBe(null)
  })
})
