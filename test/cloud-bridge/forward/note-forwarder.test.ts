import { beforeEach, describe, expect, it } from 'vitest'
import {
  createNoteForwarder,
  type Note,
  type NoteSource,
} from '../../../cloud-bridge/forward/note-forwarder.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { defaults } from '../../../config/config.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openOutboxReader } from '../../../gateway/store/read/outbox-reader.ts'
import { createMemorySink, type MemorySink } from '../../contracts/memory-sink.ts'
import { temporary } from '../../gateway/store/fixture.ts'

const { topics } = defaults.kafka
const store = Buffer.alloc(16, 7)
const partitions = 4

let sink: MemorySink
let ending: AbortController
let log: string[]
let storedNotes: Note[]
let next: number
/** A file with notes and the position up to which they are delivered. */
const source: NoteSource = {
  origin: 'outbox',
  store,
  next: () => next,
  notesFrom: sequence => storedNotes.filter(note => note.sequence >= sequence).slice(0, 10),
  advance(to) {
    log.push(`advanced to ${to}`)
    next = to
  },
}
beforeEach(() => {
  sink = createMemorySink(500)
  for (const topic of Object.values(topics)) sink.createTopic(topic, partitions)
  ending = new AbortController()
  log = []
  next = 1
  storedNotes = []
})

function add(...kinds: string[]): void {
  for (const kind of kinds) {
    storedNotes.push({
      sequence: storedNotes.length + 1,
      kind,
      at: 1000 + storedNotes.length,
      content: { of: kind },
    })
  }
}
function start(partitionsOf: (topic: string) => number | null = () => partitions) {
  return createNoteForwarder({
    topics,
    sink,
    signal: ending.signal,
    circuit: createCircuitBreaker({ firstMs: 1, maxMs: 2, stableMs: 0 }),
    partitionsOf: async topic => partitionsOf(topic),
    onUnavailable: reason => {
      log.push(`unavailable: ${reason}`)
      if (log.length > 2) sink.broken = null
    },
    onRejected: ({ sequence }, reason, { origin }) =>
      log.push(`rejected ${sequence} of the ${origin}: ${reason}`),
    onMissing: ({ from, to }, { origin }) => log.push(`missing in the ${origin}: ${from} to ${to}`),
  })
}
const valuesIn = (topic: string) =>
  sink.topics.get(topic)!.flatMap(records => records.map(({ value }) => JSON.parse(String(value))))
const sequencesIn = (topic: string) => valuesIn(topic).map(({ sequence }) => sequence)

describe('the note forwarder', () => {
  it('sends a dead letter whose bytes were dropped under its number, and says so', async () => {
    using at = temporary()
    const file = at.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    const deadLetter = { reason: 'no JSON', place: '4', topic: 'a', payload: Buffer.alloc(999) }
    outbox.commit({ deadLetters: [{ at: 5, deadLetter }] })
    outbox.deadLetterBytes.advanceTo(1)
    outbox.deadLetterBytes.dropPayloads(0)
    outbox.close()
    const reader = openOutboxReader(file)!
    await start()({ ...source, notesFrom: reader.notesFrom }, 'gw')
    reader.close()
    const [dropped, facts] = ['outbox.bounds.deadLetterBytes', { reason: 'no JSON', place: '4' }]
    expect(valuesIn(topics.deadletters)).toEqual([
      {
        ...{ gateway: 'gw', store: store.toString('hex'), origin: 'outbox' },
        ...{ run: outbox.epoch, sequence: 2, kind: 'deadletter', at: 5 },
        content: { dropped, ...facts, topic: 'a', payload: null, size: 999 },
      },
    ])
  })

  it('sends dead letters to their topic, all other notes to the ledger, each in order', async () => {
    add('epoch', 'deadletter', 'deadletter', 'heads', 'hole', 'deadletter')
    expect(await start()(source, 'gw')).toBe(6)
    expect(sequencesIn(topics.deadletters)).toEqual([2, 3, 6])
    expect(sequencesIn(topics.ledger)).toEqual([1, 4, 5])
    expect(sink.sent.map(({ records }) => records.length)).toEqual([1, 2, 2, 1])
    expect(log).toEqual(['advanced to 2', 'advanced to 4', 'advanced to 6', 'advanced to 7'])
  })

  it('sends a dead letter with unreadable content to the ledger, as a lost note', async () => {
    add('deadletter', 'deadletter')
    storedNotes[0]!.content = { reason: 'note checksum differs' }
    await start()(source, 'gw')
    expect(sequencesIn(topics.ledger)).toEqual([1])
    expect(sequencesIn(topics.deadletters)).toEqual([2])
  })

  it('reports missing notes before it advances', async () => {
    add('epoch', 'heads', 'heads', 'deadletter', 'hole')
    storedNotes = storedNotes.filter(({ sequence }) => sequence === 3 || sequence === 5)
    expect(await start()(source, 'gw')).toBe(2)
    expect(log).toEqual([
      'missing in the outbox: 1 to 2',
      'missing in the outbox: 4 to 4',
      'advanced to 6',
    ])
  })

  it('sends the gateway as the key, so all notes go to one partition', async () => {
    add('heads', 'deadletter')
    await start()(source, 'gw')
    const key = Buffer.from('gw')
    const expected = { key, partition: partitionOf(key, partitions) }
    for (const record of sink.sent.flatMap(({ records }) => records)) {
      expect(record).toMatchObject(expected)
    }
  })

  it('names the gateway and store of each note, whatever the content names', async () => {
    const content = { store: 'another', sequence: 99, kind: 'x', gateway: 'y', reason: 'too large' }
    storedNotes.push({ sequence: 1, kind: 'rejected', at: 5, content })
    await start()(source, 'gw')
    const facts = { gateway: 'gw', store: store.toString('hex'), origin: 'outbox' }
    const note = { sequence: 1, kind: 'rejected', at: 5, content }
    expect(valuesIn(topics.ledger)).toEqual([{ ...facts, ...note }])
  })

  it('continues after the last delivered note', async () => {
    add('epoch', 'heads')
    const forward = start()
    await forward(source, 'gw')
    expect(await forward(source, 'gw')).toBe(0)
    add('heads')
    expect(await forward(source, 'gw')).toBe(1)
    expect(sequencesIn(topics.ledger)).toEqual([1, 2, 3])
  })

  it('sends the identical batch while Kafka is unavailable, and advances only afterwards', async () => {
    add('epoch', 'heads')
    sink.broken = 'nothing is acknowledged'
    await start()(source, 'gw')
    expect(log.at(-1)).toBe('advanced to 3')
    expect(new Set(sink.sent).size).toBe(1)
    expect(sink.sent.length).toBeGreaterThan(1)
    expect(sequencesIn(topics.ledger)).toEqual([1, 2])
  })

  it('reports a rejected note and continues with the next', async () => {
    add('heads', 'heads', 'heads')
    storedNotes[1]!.content = { text: 'x'.repeat(500) }
    await start()(source, 'gw')
    expect(log).toEqual(['rejected 2 of the outbox: too large', 'advanced to 4'])
    expect(sequencesIn(topics.ledger)).toEqual([1, 3])
  })

  it('keeps undelivered notes when the signal aborts', async () => {
    add('epoch', 'deadletter')
    const forward = start(topic => {
      if (topic === topics.ledger) return partitions
      ending.abort()
      return null
    })
    expect(await forward(source, 'gw')).toBe(1)
    expect([next, sequencesIn(topics.deadletters)]).toEqual([2, []])
  })
})
