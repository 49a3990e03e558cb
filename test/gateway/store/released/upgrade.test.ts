import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { assessGateways } from '../../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'
import { type Delivery, deliver } from './work.ts'

/**
 * The content of a file in 016d944/: the files that a killed program left, and what the program had
 * delivered.
 */
type Released = { delivered: Delivery[]; files: Record<string, string> }

/** Writes the files that version 016d944 left into a directory of their own. */
function restore(name: string) {
  const place = temporary()
  const file = new URL(`016d944/${name}.json.gz`, import.meta.url)
  const { delivered, files }: Released = JSON.parse(gunzipSync(readFileSync(file)).toString())
  for (const [name, content] of Object.entries(files))
    writeFileSync(place.file(name), Buffer.from(content, 'base64'))
  const [outboxFile, inboxFile] = [place.file('outbox.db'), place.file('inbox.db')]
  return { outboxFile, inboxFile, delivered, [Symbol.dispose]: place[Symbol.dispose] }
}

/** Opens the restored files with today's program and delivers everything that waits. */
function deliverAll({ outboxFile, inboxFile }: ReturnType<typeof restore>) {
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw', inboxFile })
  const inbox = openInbox({ file: inboxFile, settleMs: 1e6 })
  const source = openEventSource({ outboxFile, inbox })
  source.refresh()
  source.plan.recordContact(outbox.store)
  outbox.commit({ readings: [reading('zone 0')] })
  const waiting = source.ranges.map(({ id: _, store: __, ...range }) => range)
  const delivered: Delivery[] = []
  for (const { id } of source.plan.isolated) {
    for (let some = deliver(source.isolated(id)); some; some = deliver(source.isolated(id)))
      delivered.push(...some)
    while (source.plan.isolated.length > 0) source.plan.mergeIsolated(source.plan.isolated[0]!)
  }
  for (const from of [source, source.backfill]) {
    for (let some = deliver(from); some; some = deliver(from)) delivered.push(...some)
  }
  const left = source.ranges.map(({ topic, end }) => ({ topic, end }))
  const notes = [
    ...readOutbox(outboxFile).notes.map(note => ({ note, origin: 'outbox', store: outbox.store })),
    ...inbox.notesFrom(1).map(note => ({ note, origin: 'inbox', store: inbox.id })),
  ]
  source.close()
  inbox.close()
  outbox.close()
  expect([outbox.recovery, inbox.recovery]).toEqual([null, null])
  return { waiting, delivered, left, notes }
}

type Notes = { note: OutgoingNote; origin: string; store: Buffer }[]

/** The ledger's judgement of the store, with all notes and the delivered events. */
function assess(file: string, notes: Notes, delivered: Delivery[]) {
  const ledger = createLedger()
  const nowMs = Date.now()
  for (const { note, origin, store } of notes) {
    const { sequence, kind, at, content } = note
    const value = {
      gateway: 'gw',
      store: store.toString('hex'),
      origin,
      sequence,
      kind,
      at,
      content,
    }
    ledger.addNote(decodeNote(Buffer.from(JSON.stringify(value)), nowMs)!)
  }
  const { events } = readOutbox(file)
  for (const { sequence } of delivered)
    ledger.addEvent({ ...events[sequence - 1]!, appendTimeMs: nowMs })
  const now = { nowMs, silentAfterMs: 60_000, inFlightMaxEvents: 0 }
  return assessGateways(ledger.gateways.values(), now)
}

const numbersTo = (delivered: Delivery[], topic: string) =>
  delivered.filter(delivery => delivery.topic === topic).map(({ sequence }) => sequence)
const sorted = (numbers: number[]) => [...numbers].sort((a, b) => a - b)
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

describe('a store that version 016d944 left with readings waiting', () => {
  it('is delivered to the end: backlog, isolated partition, live events and replays', () => {
    using at = restore('ranges')
    const { waiting, delivered, left, notes } = deliverAll(at)
    const rest = { partitions: 3, zones: null }
    expect(waiting).toMatchObject([
      { next: 10, end: 12, topic: 'backfill', ...rest },
      { next: 25, end: null, topic: 'readings', zones: '{"without":[1]}' },
      { next: 16, end: null, topic: 'readings', zones: '{"only":[1]}' },
      { next: 1, end: 6, topic: 'backfill', ...rest },
      { next: 1, end: 9, topic: 'backfill', zones: '["zone 0"]' },
    ])
    expect(left).toEqual([{ topic: 'readings', end: null }])
    // The replays are delivered after the backlog: first all events from 1 to 6, then the events of
    // zone 0 up to 9.
    const [backlog, replays] = [
      [10, 11, 12],
      [1, 2, 3, 4, 5, 6, 3, 6, 9],
    ]
    expect(numbersTo(delivered, 'backfill')).toEqual([...backlog, ...replays])
    const before = at.delivered.map(({ sequence }) => sequence)
    const live = numbersTo(delivered, 'readings')
    expect(sorted([...before, ...backlog, ...live])).toEqual(upTo(28))
    expect(assess(at.outboxFile, notes, [...at.delivered, ...delivered])).toMatchObject([
      { gateway: 'gw', state: 'complete', events: 28, missing: 0, awaited: 0, duplicates: 9 },
    ])
  })

  it('is delivered to the end over a change of the partition count', () => {
    using at = restore('partition-change')
    const { waiting, delivered, left, notes } = deliverAll(at)
    expect(waiting).toMatchObject([
      { next: 4, end: 6, topic: 'readings', partitions: 3 },
      { next: 7, end: null, topic: 'readings', partitions: 12 },
    ])
    expect(left).toEqual([{ topic: 'readings', end: null }])
    expect(delivered.map(({ sequence, partitions }) => [sequence, partitions])).toEqual([
      ...[4, 5, 6].map(sequence => [sequence, 3]),
      ...[7, 8, 9, 10].map(sequence => [sequence, 12]),
    ])
    expect(assess(at.outboxFile, notes, [...at.delivered, ...delivered])).toMatchObject([
      { gateway: 'gw', state: 'complete', events: 10, missing: 0, awaited: 0, duplicates: 0 },
    ])
  })
})
