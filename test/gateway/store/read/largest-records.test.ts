import { expect, it } from 'vitest'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { readLargestRecords } from '../../../../gateway/store/read/largest-records.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { reading, temporary } from '../fixture.ts'

const withText = (length: number) =>
  reading('z', 0, {
    measurements: [{ metric: 'n', number: null, flag: null, text: 'x'.repeat(length), unit: null }],
  })

it('the largest records are those that wait, not those that are delivered', () => {
  using place = temporary()
  const [file, inboxFile] = [place.file('outbox.db'), place.file('inbox.db')]
  expect(readLargestRecords(file, inboxFile)).toEqual({ event: 0, note: 0, deadLetter: 0 })
  const outbox = openOutbox({ file, gateway: 'gw', inboxFile })
  const deadLetter = { reason: 'r', place: '', topic: 't', payload: Buffer.alloc(30_000) }
  outbox.commit({ readings: [withText(90_000)], deadLetters: [{ at: 1, deadLetter }] })
  outbox.commit({ readings: [withText(10), withText(5000)] })
  const before = readLargestRecords(file, inboxFile)
  expect(before.event).toBeGreaterThan(90_000)
  expect(before.deadLetter).toBeGreaterThan(40_000)
  expect(before.note).toBeGreaterThan(50)

  const inbox = openInbox({ file: inboxFile, settleMs: 0 })
  const source = openEventSource({ outboxFile: file, inbox })
  source.refresh()
  source.ensureLiveRange('readings', 1)
  source.advance(source.readBatch({ maxEvents: 1, maxBytes: 1 })!)
  inbox.moveNotes(outbox.store, 3)
  inbox.flush()
  const after = readLargestRecords(file, inboxFile)
  expect(after).toEqual({ event: expect.any(Number), note: 0, deadLetter: 0 })
  expect(Math.floor(after.event / 1000)).toBe(5)
  for (const part of [source, inbox, outbox]) part.close()
})
