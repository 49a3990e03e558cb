import { createHash } from 'node:crypto'
import { expect, inject, it, vi } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { assessGateways } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../cloud-bridge/ledger/topics/topic-reader.ts'
import { NOTE_MAX_BYTES } from '../../../gateway/store/notes/note-size.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../../gateway/store/fixture.ts'
import { createTopics, describeWithKafka, kafkaAt } from '../../setup/kafka/kafka.ts'
import { freshTopics, startBridge } from './running-bridge.ts'

const ZONES = 60_000
const GROUP_EVENTS = 1000
const soon = { timeout: 120_000, interval: 200 }

/** Names that do not compress, so that Kafka sees their full size. */
const zoneName = (number: number) =>
  `building ${createHash('sha256').update(String(number)).digest('base64')}`

/** A store with one event in each of 60,000 zones, of which the oldest groups were dropped. */
function fillStore(file: string) {
  const first = openOutbox({ file, gateway: 'gw' })
  for (let from = 0; from < ZONES; from += GROUP_EVENTS) {
    const numbers = Array.from({ length: GROUP_EVENTS }, (_, index) => from + index)
    first.commit({ readings: numbers.map(number => reading(zoneName(number))) })
  }
  first.writeZoneHeads()
  const dropped = 20 * GROUP_EVENTS
  first.pruning.drop({ sequence: dropped - GROUP_EVENTS + 1, to: dropped }, null, 'a bound')
  first.close()
  // The start of the second run names the heads of the first run a second time.
  const second = openOutbox({ file, gateway: 'gw' })
  second.commit({ readings: [reading('one more')] })
  second.writeZoneHeads()
  return { second, dropped }
}

describeWithKafka('the notes of a store with 60,000 zones', () => {
  it('reach a Kafka with the default message size, and prove every zone', async () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const { second, dropped } = fillStore(file)
    const notes = readOutbox(file).notes
    for (const { content } of notes)
      expect(Buffer.byteLength(JSON.stringify(content))).toBeLessThan(NOTE_MAX_BYTES)
    const kinds = Map.groupBy(notes, ({ kind }) => kind)
    const zonesOf = (kind: string) =>
      kinds.get(kind)!.flatMap(({ content }) => content.zones as [string, number][])
    expect(kinds.get('heads')!.length).toBeGreaterThan(10)
    expect(new Set(zonesOf('tombstone').map(([zone]) => zone)).size).toBe(dropped)

    const kafka = kafkaAt(inject('brokers'))
    const topics = freshTopics()
    await createTopics(
      kafka,
      Object.values(topics).map(topic => ({ topic, partitions: 3 })),
    )
    const bridge = await startBridge({ dir: place.dir, kafka, topics })
    const delivered = ZONES - dropped + 1
    await vi.waitFor(() => expect(bridge.totals.delivered).toBe(delivered), soon)
    const last = notes.at(-1)!.sequence
    await vi.waitFor(() => expect(bridge.inbox.nextNote(second.store)).toBe(last + 1), soon)
    expect(bridge.totals.rejected).toBe(0)
    await bridge.stop()
    second.close()

    const { stream } = await createKafkaClient(kafka)
    const ledger = createLedger()
    await createTopicReader({ stream, ledger, topics }).readToEnd()
    const now = { nowMs: Date.now(), silentAfterMs: 600_000, inFlightMaxEvents: 0 }
    const [gateway, ...others] = assessGateways(ledger.gateways.values(), now)
    expect(others).toEqual([])
    expect(gateway).toMatchObject({
      ...{ gateway: 'gw', state: 'complete', events: delivered },
      ...{ missing: 0, awaited: 0, duplicates: 0 },
    })
  }, 300_000)
})
