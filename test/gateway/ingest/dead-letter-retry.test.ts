import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { resolveDeadLetters } from '../../../gateway/ingest/dead-letter-retry.ts'
import { createFateDecision, type Message } from '../../../gateway/ingest/fate.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../store/fixture.ts'

const fateNow = createFateDecision({
  ...defaults.ingest,
  routes: [{ topic: 'old/{site}/{zone}/{device}', format: 'json' }],
})
const limits = { nowMs: 5000, maxBytes: 1_000_000 }

/** An outbox with letters #2 to #5: two decode now, two never will. */
function startLetters() {
  const place = temporary()
  const file = place.file('outbox.db')
  let outbox = openOutbox({ file, gateway: 'gw' })
  const bury = (topic: string, payload: string, clock?: 'SYNCED') => ({
    at: 1000,
    deadLetter: {
      ...{ reason: 'no route', place: 'topic', topic, payload: Buffer.from(payload) },
      ...(clock && { clock }),
    },
  })
  outbox.commit({
    readings: [reading('z')],
    deadLetters: [
      bury('old/hq/z/d1', '{"n":7}', 'SYNCED'),
      bury('old/hq/z/d2', 'no JSON'),
      bury('other', '{"n":8}'),
      bury('old/hq/z/d3', '{"n":9}'),
    ],
  })
  const settle = (what: 'retry' | 'drop', ...numbers: number[]) =>
    resolveDeadLetters(outbox, { action: what, numbers }, fateNow, limits)
  return {
    ...{ file, settle },
    get outbox() {
      return outbox
    },
    reopen() {
      outbox.close()
      outbox = openOutbox({ file, gateway: 'gw' })
    },
    change(sql: string) {
      const db = new Database(file)
      db.exec(sql)
      db.close()
    },
    notes: () =>
      readOutbox(file)
        .notes.filter(({ kind }) => kind === 'retried' || kind === 'dropped')
        .map(({ kind, at, content }) => ({ kind, at, ...content })),
    [Symbol.dispose]() {
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

describe('retrying dead letters', () => {
  it('stores what decodes now as received then, with a note of the same number', () => {
    using at = startLetters()
    expect(at.settle('retry', 2, 5)).toEqual([
      { number: 2, outcome: 'retried', sequence: 2 },
      { number: 5, outcome: 'retried', sequence: 3 },
    ])
    const { events } = readOutbox(at.file)
    expect(events.slice(1)).toMatchObject([
      { sequence: 2, zoneSequence: 2, device: 'd1', receivedAt: 1000, clock: 'SYNCED' },
      { sequence: 3, zoneSequence: 3, device: 'd3', receivedAt: 1000, clock: 'UNSYNCED' },
    ])
    expect(events[1]!.measurements[0]).toMatchObject({ metric: 'n', number: 7 })
    expect(at.notes()).toEqual([
      { kind: 'retried', at: 5000, deadletter: 2, sequence: 2 },
      { kind: 'retried', at: 5000, deadletter: 5, sequence: 3 },
    ])
  })

  it('names the number of each, also when a commit has several lanes', () => {
    using at = startLetters()
    const lanes: Record<string, string | undefined> = { d2: 'alarms' }
    const fateOf = (message: Message) => {
      const device = message.topic.split('/').at(-1)!
      return { reading: { ...reading('z', 0, { device }), lane: lanes[device] } }
    }
    const letters = { action: 'retry' as const, numbers: [2, 3, 5] }
    const told = resolveDeadLetters(at.outbox, letters, fateOf, limits)
    expect(told.map(one => [one.number, 'sequence' in one && one.sequence])).toEqual([
      [2, 2],
      [3, 4],
      [5, 3],
    ])
    const devices = readOutbox(at.file).events.slice(1)
    expect(devices.map(({ device }) => device)).toEqual(['d1', 'd3', 'd2'])
  })

  it('leaves what still fails as it was, with the reason of now', () => {
    using at = startLetters()
    expect(at.settle('retry', 3, 4)).toMatchObject([
      { number: 3, outcome: 'unchanged', reason: expect.stringContaining('JSON') },
      { number: 4, outcome: 'unchanged', reason: 'no route matches topic (at topic)' },
    ])
    expect(readOutbox(at.file).events).toHaveLength(1)
    expect(at.notes()).toEqual([])
    expect(at.outbox.deadLetters.find(3)).toMatchObject({ state: 'open' })
  })

  it('never makes two events of one, however often and after whatever start', () => {
    using at = startLetters()
    at.settle('retry', 2, 2)
    const again = { number: 2, outcome: 'unchanged', reason: 'it is event #2 already' }
    expect(at.settle('retry', 2)).toEqual([again])
    expect(at.settle('drop', 2)).toEqual([again])
    at.reopen()
    expect(at.settle('retry', 2)).toEqual([again])
    expect(readOutbox(at.file).events).toHaveLength(2)
    expect(at.notes()).toHaveLength(1)
  })

  it('makes event and note durable together or not at all', () => {
    using at = startLetters()
    at.change(`CREATE TRIGGER t BEFORE INSERT ON notes WHEN NEW.kind = 'retried'
      BEGIN SELECT RAISE(ABORT, 'no'); END`)
    expect(() => at.settle('retry', 2)).toThrow('no')
    at.change('DROP TRIGGER t')
    expect(readOutbox(at.file).events).toHaveLength(1)
    expect(at.settle('retry', 2)).toMatchObject([{ outcome: 'retried', sequence: 2 }])
    expect(readOutbox(at.file).events).toHaveLength(2)
  })

  it('cuts what is large into several commits', () => {
    using at = startLetters()
    const numbers = [2, 5]
    resolveDeadLetters(at.outbox, { action: 'retry', numbers }, fateNow, { ...limits, maxBytes: 1 })
    expect(at.notes()).toMatchObject([
      { deadletter: 2, sequence: 2 },
      { deadletter: 5, sequence: 3 },
    ])
  })

  it('asks of nothing that is no dead letter', () => {
    using at = startLetters()
    const reason = 'there is no dead letter with this number'
    expect(at.settle('retry', 1, 99)).toMatchObject([{ reason }, { reason }])
    expect(at.settle('drop', 1)).toMatchObject([{ reason }])
  })

  it('leaves alone what may have been retried, when the note that says so is damaged', () => {
    using at = startLetters()
    at.settle('retry', 2)
    at.change(`UPDATE notes SET body = x'7b7d' WHERE kind = 'retried'`)
    at.reopen()
    const reason = 'a damaged note may say that it was retried or dropped already'
    expect(at.settle('retry', 2, 5)).toMatchObject([{ reason }, { reason }])
    expect(readOutbox(at.file).events).toHaveLength(2)
  })
})

describe('dead letters whose bytes were let go', () => {
  it('can only be dropped, and say so', () => {
    using at = startLetters()
    const payload = Buffer.alloc(1000, 1)
    const deadLetter = { reason: 'r', place: '', topic: 'old/hq/z/d4', payload }
    at.outbox.commit({ deadLetters: [{ at: 1000, deadLetter }] })
    at.outbox.deadLetterBytes.advanceTo(1)
    at.outbox.deadLetterBytes.dropPayloads(0)
    const reason = 'its bytes were deleted at outbox.bounds.deadLetterBytes'
    expect(at.settle('retry', 6, 5)).toEqual([
      { number: 5, outcome: 'retried', sequence: 2 },
      { number: 6, outcome: 'unchanged', reason },
    ])
    expect(at.settle('drop', 6)).toEqual([{ number: 6, outcome: 'dropped' }])
    expect(at.settle('retry', 6)).toMatchObject([{ reason: 'it was dropped' }])
  })
})

describe('dropping dead letters', () => {
  it('is for ever', () => {
    using at = startLetters()
    expect(at.settle('drop', 3, 2)).toEqual([
      { number: 2, outcome: 'dropped' },
      { number: 3, outcome: 'dropped' },
    ])
    expect(at.notes()).toEqual([
      { kind: 'dropped', at: 5000, deadletter: 3 },
      { kind: 'dropped', at: 5000, deadletter: 2 },
    ])
    at.reopen()
    expect(at.settle('retry', 2)).toMatchObject([{ reason: 'it was dropped' }])
    expect([...at.outbox.deadLetters.all()].map(({ state }) => state)).toEqual([
      ...['dropped', 'dropped', 'open', 'open'],
    ])
  })

  it('takes a letter whose own bytes are damaged, which can only be dropped', () => {
    using at = startLetters()
    at.change(`UPDATE notes SET body = x'7b7d' WHERE sequence = 2`)
    const reason = 'it cannot be read: note checksum differs'
    expect(at.settle('retry', 2)).toMatchObject([{ reason }])
    expect(at.settle('drop', 2)).toMatchObject([{ outcome: 'dropped' }])
  })
})

it('a message is decoded with what it came with', () => {
  using at = startLetters()
  const seen: Message[] = []
  resolveDeadLetters(
    at.outbox,
    { action: 'retry', numbers: [3] },
    message => {
      seen.push(message)
      return { deadLetter: { reason: 'r', place: '', topic: '', payload: Buffer.alloc(0) } }
    },
    limits,
  )
  const payload = Buffer.from('no JSON')
  expect(seen).toEqual([{ topic: 'old/hq/z/d2', payload, receivedAt: 1000, clock: 'UNSYNCED' }])
})
