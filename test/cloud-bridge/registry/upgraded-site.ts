import { expect, vi } from 'vitest'
import { createFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { Framing } from '../../../cloud-bridge/ports/event-sink.ts'
import { createRegistryClient } from '../../../cloud-bridge/registry/registry.ts'
import { createSchemaIdLookup } from '../../../cloud-bridge/registry/schema-ids.ts'
import { releasedSchemas } from '../../../config/schemas/released.ts'
import { replayReason } from '../../../gateway/store/delivery/replay-period.ts'
import type { Inbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { tracedEvent } from '../../config/event/events-fixture.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { writeUnder } from '../../gateway/store/older-schema.ts'
import { createTopics, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { registryAt, startRegistryGate } from '../../setup/registry/registry.ts'
import { freshTopics, startBridge } from '../forward/running-bridge.ts'

export const retrying = { timeout: 20_000, interval: 10 }
const zones = ['a', 'b', 'Halle 1/Süd']
/** The number of events that an older program encoded with the first schema. */
export const OLDER_EVENTS = 15

/** Writes an outbox whose older half of events was written by an older program. */
function storeAcrossUpgrade(file: string): number {
  const open = () => openOutbox({ file, gateway: 'gw' })
  const commit = (outbox: ReturnType<typeof open>, traceparent: string | null) => {
    const readings = zones.map((zone, number) => reading(zone, number, { traceparent }))
    outbox.commit({ readings, deadLetters: [] })
  }
  const before = open()
  for (let group = 0; group < 5; group++) commit(before, null)
  before.close()
  expect(writeUnder(releasedSchemas[0]!, file)).toBe(OLDER_EVENTS)
  const after = open()
  for (let group = 0; group < 5; group++) commit(after, tracedEvent.traceparent)
  const { lastSequence } = after
  after.close()
  return lastSequence
}

/** A site with that outbox; its bridge gets schema ids from the shared registry through a gate. */
export async function startUpgradedSite() {
  const place = temporary()
  const gate = await startRegistryGate()
  const topics = freshTopics()
  const names = [topics.readings, topics.backfill, topics.deadletters, topics.ledger]
  await createTopics(
    sharedKafka(),
    names.map(topic => ({ topic, partitions: 2 })),
  )
  const events = storeAcrossUpgrade(place.file('outbox.db'))
  const framing = (inbox: Inbox, signal: AbortSignal): Framing => {
    const registry = createRegistryClient(registryAt(gate.url, { signal }))
    const schemaIdOf = createSchemaIdLookup({ registry, inbox, onChanged: () => {} })
    return createFraming({ schemaIdOf, cloudEvents: false })
  }
  return {
    ...{ events, gate, topics },
    start: (withRegistry: boolean) =>
      startBridge({
        dir: place.dir,
        kafka: sharedKafka(),
        topics,
        ...(withRegistry && { framing }),
      }),
    read: async (topic: string) => (await readTopic(sharedKafka(), topic)).flat(),
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]()
      place[Symbol.dispose]()
    },
  }
}
type Bridge = Awaited<ReturnType<typeof startBridge>>
export const delivered = (bridge: Bridge, count: number) =>
  vi.waitFor(() => expect(bridge.totals.delivered).toBe(count), retrying)
export const replayed = (bridge: Bridge, count: number) =>
  vi.waitFor(() => expect(bridge.totals.replayed).toBe(count), retrying)
export const replayUpTo = (bridge: Bridge, topic: string, end: number) =>
  bridge.source.addReplay({
    ...{ next: 1, end, zones: null, topic, partitions: 2, reason: replayReason(0, 1) },
  })
