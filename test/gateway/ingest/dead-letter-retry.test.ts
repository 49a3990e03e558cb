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

/**
 * An outbox with dead letters #2 to #5. Two of them can be decoded now, two can never be decoded.
 */
function openDeadLetters() {
  const place = temporary()
  const file = place.file('outbox.db')
  let outbox = openOutbox({ file, gateway: 'gw' })
  const deadLetter = (topic: string, payload: string, clock?: 'SYNCED') => ({
    at: 1000,
    deadLetter: {
      ...{ reason: 'no route', place: 'topic', topic, payload: Buffer.from(payload) },
      ...(clock && { clock }),
    },
  })
  outbox.commit({
    readings: [reading('z')],
    deadLetters: [
      deadLetter('old/hq/z/d1', '{"n":7}', 'SYNCED'),
      deadLetter('old/hq/z/d2', 'no JSON'),
      deadLetter('other', '{"n":8}'),
      deadLetter('old/hq/z/d3', '{"n":9}'),
    ],
  })
  const resolve = (what: 'retry' | 'drop', ...numbers: number[]) =>
    resolveDeadLetters(outbox, { action: what, numbers }, fateNow, limits)
  return {
    ...{ file, resolve },
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
  it('stores dead letters that decode now with their time of receipt, and notes their numbers', () => {
    using setup = openDeadLetters()
    expect(setup.resolve('retry', 2, 5)).toEqual([
      { number: 2, outcome: 'retried', sequence: 2 },
      { number: 5, outcome: 'retried', sequence: 3 },
    ])
    const { events } = readOutbox(setup.file)
    expect(events.slice(1)).toMatchObject([
      { sequence: 2, zoneSequence: 2, device: 'd1', receivedAt: 1000, clock: 'SYNCED' },
      { sequence: 3, zoneSequence: 3, device: 'd3', receivedAt: 1000, clock: 'UNSYNCED' },
    ])
    expect(events[1]!.measurements[0]).toMatchObject({ metric: 'n', number: 7 })
    const run = setup.outbox.epoch
    expect(setup.notes()).toEqual([
      { kind: 'retried', at: 5000, deadletter: 2, deadletterRun: run, sequence: 2 },
      { kind: 'retried', at: 5000, deadletter: 5, deadletterRun: run, sequence: 3 },
    ])
  })

  it('gives the sequence of each event, also when a commit has several lanes', () => {
    using setup = openDeadLetters()
    const lanes: Record<string, string | undefined> = { d2: 'alarms' }
    const fateOf = (message: Message) => {
      const device = message.topic.split('/').at(-1)!
      return { reading: { ...reading('z', 0, { device }), lane: lanes[device] } }
    }
    const letters = { action: 'retry' as const, numbers: [2, 3, 5] }
    const outcomes = resolveDeadLetters(setup.outbox, letters, fateOf, limits)
    expect(outcomes.map(one => [one.number, 'sequence' in one && one.sequence])).toEqual([
      [2, 2],
      [3, 4],
      [5, 3],
    ])
    const devices = readOutbox(setup.file).events.slice(1)
    expect(devices.map(({ device }) => device)).toEqual(['d1', 'd3', 'd2'])
  })

  it('leaves dead letters that still fail unchanged, with the present reason', () => {
    using setup = openDeadLetters()
    expect(setup.resolve('retry', 3, 4)).toMatchObject([
      { number: 3, outcome: 'unchanged', reason: expect.stringContaining('JSON') },
      { number: 4, outcome: 'unchanged', reason: 'no route matches topic (at topic)' },
    ])
    expect(readOutbox(setup.file).events).toHaveLength(1)
    expect(setup.notes()).toEqual([])
    expect(setup.outbox.deadLetters.find(3)).toMatchObject({ state: 'open' })
  })

  it('never makes two events of one dead letter, however often it is retried and after a restart', () => {
    using setup = openDeadLetters()
    setup.resolve('retry', 2, 2)
    const unchanged = { number: 2, outcome: 'unchanged', reason: 'it is event #2 already' }
    expect(setup.resolve('retry', 2)).toEqual([unchanged])
    expect(setup.resolve('drop', 2)).toEqual([unchanged])
    setup.reopen()
    expect(setup.resolve('retry', 2)).toEqual([unchanged])
    expect(readOutbox(setup.file).events).toHaveLength(2)
    expect(setup.notes()).toHaveLength(1)
  })

  it('makes event and note durable in one transaction', () => {
    using setup = openDeadLetters()
    setup.change(`CREATE TRIGGER t BEFORE INSERT ON notes WHEN NEW.kind = 'retried'
      BEGIN SELECT RAISE(ABORT, 'no'); END`)
    expect(() => setup.resolve('retry', 2)).toThrow('no')
    setup.change('DROP TRIGGER t')
    expect(readOutbox(setup.file).events).toHaveLength(1)
    expect(setup.resolve('retry', 2)).toMatchObject([{ outcome: 'retried', sequence: 2 }])
    expect(readOutbox(setup.file).events).toHaveLength(2)
  })

  it('splits a large request into several commits', () => {
    using setup = openDeadLetters()
    const numbers = [2, 5]
    resolveDeadLetters(setup.outbox, { action: 'retry', numbers }, fateNow, {
      ...limits,
      maxBytes: 1,
    })
    expect(setup.notes()).toMatchObject([
      { deadletter: 2, sequence: 2 },
      { deadletter: 5, sequence: 3 },
    ])
  })

  it('leaves numbers unchanged that are no dead letters', () => {
    using setup = openDeadLetters()
    const reason = 'there is no dead letter with this number'
    expect(setup.resolve('retry', 1, 99)).toMatchObject([{ reason }, { reason }])
    expect(setup.resolve('drop', 1)).toMatchObject([{ reason }])
  })

  it('leaves dead letters unchanged that may have been retried by a damaged note', () => {
    using setup = openDeadLetters()
    setup.resolve('retry', 2)
    setup.change(`UPDATE notes SET body = x'7b7d' WHERE kind = 'retried'`)
    setup.reopen()
    const reason = 'a damaged note may say that it was retried or dropped already'
    expect(setup.resolve('retry', 2, 5)).toMatchObject([{ reason }, { reason }])
    expect(readOutbox(setup.file).events).toHaveLength(2)
  })
})

describe('dead letters whose bytes were deleted', () => {
  it('can only be dropped, and the outcome gives the reason', () => {
    using setup = openDeadLetters()
    const payload = Buffer.alloc(1000, 1)
    const deadLetter = { reason: 'r', place: '', topic: 'old/hq/z/d4', payload }
    setup.outbox.commit({ deadLetters: [{ at: 1000, deadLetter }] })
    setup.outbox.deadLetterBytes.advanceTo(1)
    setup.outbox.deadLetterBytes.dropPayloads(0)
    const reason = 'its bytes were deleted at outbox.bounds.deadLetterBytes'
    expect(setup.resolve('retry', 6, 5)).toEqual([
      { number: 5, outcome: 'retried', sequence: 2 },
      { number: 6, outcome: 'unchanged', reason },
    ])
    expect(setup.resolve('drop', 6)).toEqual([{ number: 6, outcome: 'dropped' }])
    expect(setup.resolve('retry', 6)).toMatchObject([{ reason: 'it was dropped' }])
  })
})

describe('dropping dead letters', () => {
  it('is final', () => {
    using setup = openDeadLetters()
    expect(setup.resolve('drop', 3, 2)).toEqual([
      { number: 2, outcome: 'dropped' },
      { number: 3, outcome: 'dropped' },
    ])
    const run = setup.outbox.epoch
    expect(setup.notes()).toEqual([
      { kind: 'dropped', at: 5000, deadletter: 3, deadletterRun: run },
      { kind: 'dropped', at: 5000, deadletter: 2, deadletterRun: run },
    ])
    setup.reopen()
    expect(setup.resolve('retry', 2)).toMatchObject([{ reason: 'it was dropped' }])
    expect([...setup.outbox.deadLetters.all()].map(({ state }) => state)).toEqual([
      ...['dropped', 'dropped', 'open', 'open'],
    ])
  })

  it('accepts a damaged dead letter, which can only be dropped', () => {
    using setup = openDeadLetters()
    setup.change(`UPDATE notes SET body = x'7b7d' WHERE sequence = 2`)
    const reason = 'it cannot be read: note checksum differs'
    expect(setup.resolve('retry', 2)).toMatchObject([{ reason }])
    expect(setup.resolve('drop', 2)).toMatchObject([{ outcome: 'dropped' }])
  })
})

it('a dead letter is decoded with its topic, payload, time of receipt and clock state', () => {
  using setup = openDeadLetters()
  const seen: Message[] = []
  resolveDeadLetters(
    setup.outbox,
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
