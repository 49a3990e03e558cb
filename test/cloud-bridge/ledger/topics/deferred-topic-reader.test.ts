import { expect, it } from 'vitest'
import { assessGateways } from '../../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../../cloud-bridge/ledger/topics/topic-reader.ts'
import type { EventStream, ReadRecord } from '../../../../cloud-bridge/ports/event-stream.ts'
import { encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'

const topics = { ledger: 'ledger', readings: 'readings' }

it('reads a deferral note that was written after the end of the notes was read', async () => {
  const { gateway, epoch, zone } = goldenEvent
  const record = (offset: number, value: Buffer): ReadRecord => ({
    ...{
      partition: 0,
      offset,
      appendTimeMs: Date.now(),
      key: Buffer.from(zone),
      value,
      headers: {},
    },
  })
  const note = (kind: string, sequence: number, origin: string, content: object) => {
    const store = origin === 'inbox' ? 'bb' : 'aa'
    const facts = { gateway, store, origin, sequence, at: Date.now(), kind }
    return Buffer.from(JSON.stringify({ ...facts, content }))
  }
  const heads = { epoch, lastSequence: 9, zones: [[zone, 9]] }
  const notes = [
    note('epoch', 1, 'outbox', { epoch, firstSequence: 1, previous: null }),
    note('heads', 2, 'outbox', heads),
  ].map((value, offset) => record(offset, value))
  // Numbers 1 to 8 are deferred; the note is written between two reads of the end offsets.
  const events = [record(0, encodeEvent({ ...goldenEvent, sequence: 9, zoneSequence: 9 }))]
  const deferral = note('behind', 1, 'inbox', { store: 'aa', from: 1, to: 8, topic: 'backfill' })
  let reads = 0
  const stream: EventStream = {
    async topicOffsets(names) {
      if (reads++ > 0 && notes.length === 2) notes.push(record(2, deferral))
      const all = { ledger: notes, readings: events }
      return new Map(
        names
          .filter(name => name in all)
          .map(name => {
            const end = new Map([[0, all[name as 'ledger'].length]])
            return [name, { begin: new Map([[0, 0]]), end }]
          }),
      )
    },
    async readBetween(topic, from, to, onRecord) {
      const all = topic === 'ledger' ? notes : events
      for (const next of all.slice(from.get(0) ?? 0, to.get(0))) onRecord(next)
    },
  }
  const ledger = createLedger()
  const reader = createTopicReader({ stream, ledger, topics })
  await reader.readToEnd()
  const options = { nowMs: Date.now(), silentAfterMs: 60_000, inFlightMaxEvents: 0 }
  expect(assessGateways(ledger.gateways.values(), options)[0]).toMatchObject({
    missing: 0,
    awaited: 8,
  })
})
