import { describe, expect, it } from 'vitest'
import { createMemoryTopics, EPOCH, heads, INBOX, LETTER, OUTBOX } from '../memory-topics.ts'

const lost = (from: number, to: number) => ({ store: OUTBOX, origin: 'outbox', from, to })
const inbox = (run?: number) => ({ store: INBOX, origin: 'inbox', ...(run && { run }) })
/** An epoch note of run 6, which follows run 5. */
const nextEpoch = (epoch: number, lastSequence: number) => ({
  ...{ epoch, firstSequence: lastSequence + 1, previous: heads(lastSequence) },
})

/** A gateway whose dead letters are notes 2 to 4, and whose heartbeat is note 5. */
function topicsWithLetters() {
  const topics = createMemoryTopics()
  topics.note(1, 'epoch', EPOCH)
  for (const sequence of [2, 3, 4]) topics.note(sequence, 'deadletter', LETTER)
  topics.event(1)
  topics.note(5, 'heads', heads(1))
  return topics
}

describe('the numbers of notes', () => {
  it('are complete in the ledger topic and the dead-letter topic together', async () => {
    expect(await topicsWithLetters().verify()).toMatchObject({ code: 0, lostNotes: [] })
  })

  it('show dead letters that are gone from Kafka', async () => {
    const topics = topicsWithLetters()
    topics.recreate('deadletters')
    expect(await topics.verify()).toMatchObject({ code: 1, lostNotes: [lost(2, 4)] })
    for (const sequence of [6, 7]) topics.note(sequence, 'deadletter', LETTER)
    expect(await topics.verify()).toMatchObject({ code: 1, lostNotes: [lost(2, 4)] })
    topics.recreate('deadletters', true)
    const { code, lostNotes } = await topics.verify()
    expect([code, lostNotes]).toMatchObject([1, [lost(2, 4)]])
    expect(lostNotes[0]!.reason).toContain('Kafka has no dead-letter topic')
  })

  it('show notes that are gone from the ledger topic, with the hole notes among them', async () => {
    const topics = topicsWithLetters()
    topics.note(6, 'hole', { notes: { from: 90, to: 91 }, reason: 'seen elsewhere' })
    topics.event(2)
    topics.note(7, 'heads', heads(2))
    topics.lose('ledger', ({ sequence }) => sequence === 6)
    expect(await topics.verify()).toMatchObject({ code: 1, lostNotes: [lost(6, 6)] })
  })

  it('are judged only up to the newest note of the ledger topic', async () => {
    const topics = topicsWithLetters()
    // Note 6 is behind the end that was read; note 7 was read.
    topics.note(7, 'deadletter', LETTER)
    const verify = topics.watch()
    expect(await verify()).toMatchObject({ code: 0, lostNotes: [] })
    topics.note(6, 'heads', heads(1))
    expect(await verify()).toMatchObject({ code: 0, lostNotes: [] })
  })

  it('may be deleted by the retention of either topic', async () => {
    const letters = topicsWithLetters()
    letters.note(6, 'deadletter', LETTER)
    letters.expire('deadletters', 3)
    expect(await letters.verify()).toMatchObject({ code: 0, lostNotes: [] })
    letters.expire('deadletters', 1)
    expect(await letters.verify()).toMatchObject({ code: 0, lostNotes: [] })
    // Retention deletes the oldest records only: long after them, a note cannot be deleted.
    letters.note(7, 'deadletter', LETTER)
    letters.wait(200_000)
    for (const sequence of [8, 9, 10]) letters.note(sequence, 'heads', heads(1))
    letters.lose('ledger', ({ sequence }) => sequence === 9)
    expect(await letters.verify()).toMatchObject({ code: 1, lostNotes: [lost(9, 9)] })
  })

  it('repeat after a restore: each run is judged by its own notes', async () => {
    const topics = topicsWithLetters()
    topics.note(3, 'epoch', nextEpoch(6, 1), { run: 6 })
    topics.note(4, 'deadletter', LETTER, { run: 6 })
    topics.event(2, 'readings', 6)
    topics.note(5, 'heads', { epoch: 6, lastSequence: 2, zones: [['z', 1]] }, { run: 6 })
    expect((await topics.verify()).lostNotes).toEqual([])
    topics.lose('deadletters', ({ run, sequence }) => run === 6 && sequence === 4)
    expect((await topics.verify()).lostNotes).toMatchObject([{ ...lost(4, 4), run: 6 }])
  })

  it('of a rebuilt inbox begin anywhere, because its older notes were delivered', async () => {
    const topics = topicsWithLetters()
    topics.note(57, 'contact', { store: OUTBOX, behind: [] }, inbox())
    topics.note(58, 'contact', { store: OUTBOX, behind: [] }, inbox())
    expect(await topics.verify()).toMatchObject({ code: 0, lostNotes: [] })
    topics.note(60, 'contact', { store: OUTBOX, behind: [] }, inbox())
    expect((await topics.verify()).lostNotes).toMatchObject([
      { store: INBOX, origin: 'inbox', from: 59, to: 59 },
    ])
  })

  it('of an inbox can be of an earlier run again, after the outbox was put back', async () => {
    const topics = topicsWithLetters()
    const contact = { store: OUTBOX, behind: [] }
    for (const [sequence, run] of [5, 6, 5, 6].entries()) {
      topics.note(sequence + 1, 'contact', contact, inbox(run))
    }
    topics.note(6, 'epoch', nextEpoch(6, 1), { run: 6 })
    expect((await topics.verify()).lostNotes).toEqual([])
  })

  it('of earlier versions have no run, and the next version goes on with them', async () => {
    const topics = createMemoryTopics()
    const old = { run: undefined } as object
    topics.note(1, 'epoch', EPOCH, old)
    topics.note(2, 'deadletter', LETTER, old)
    topics.event(1)
    topics.note(3, 'heads', heads(1), old)
    topics.note(4, 'epoch', nextEpoch(6, 1), { run: 6 })
    expect(await topics.verify()).toMatchObject({ code: 0, lostNotes: [] })
    topics.recreate('deadletters')
    expect((await topics.verify()).lostNotes).toMatchObject([lost(2, 2)])
  })

  it('that a note calls lost are not reported twice', async () => {
    const topics = topicsWithLetters()
    topics.recreate('deadletters')
    const content = { store: OUTBOX, origin: 'outbox', notes: { from: 2, to: 3 }, reason: 'gone' }
    topics.note(1, 'jump', content, inbox())
    expect((await topics.verify()).lostNotes).toMatchObject([
      { ...lost(2, 3), reason: 'gone' },
      lost(4, 4),
    ])
  })
})

describe('a note about lost notes', () => {
  it('names none that arrived, after an older outbox was put back', async () => {
    const topics = topicsWithLetters()
    // The image ends at note 1; run 6 wrote its notes after the image was taken.
    topics.note(6, 'epoch', nextEpoch(6, 1), { run: 6 })
    topics.note(9, 'epoch', nextEpoch(7, 1), { run: 7 })
    const hole = { notes: { from: 2, to: 8 }, reason: 'seen elsewhere, not stored' }
    topics.note(10, 'hole', { epoch: 5, ...hole }, { run: 7 })
    expect((await topics.verify()).lostNotes).toMatchObject([{ ...lost(7, 8), run: 7 }])
  })

  it('names numbers of its own run, whatever another branch delivered under them', async () => {
    const topics = topicsWithLetters()
    topics.note(6, 'epoch', nextEpoch(6, 1), { run: 6 })
    topics.note(6, 'epoch', nextEpoch(7, 1), { run: 7 })
    topics.note(7, 'heads', heads(1, 6), { run: 6 })
    topics.note(8, 'heads', heads(1, 7), { run: 7 })
    const content = { store: OUTBOX, origin: 'outbox', notes: { from: 7, to: 7 }, reason: 'gone' }
    topics.note(1, 'jump', content, inbox(7))
    expect((await topics.verify()).lostNotes).toMatchObject([{ ...lost(7, 7), run: 7 }])
  })

  it('reports a number once, whatever several notes say', async () => {
    const topics = topicsWithLetters()
    topics.note(9, 'epoch', nextEpoch(6, 1), { run: 6 })
    const notes = { from: 4, to: 8 }
    topics.note(10, 'hole', { epoch: 5, notes, reason: 'seen elsewhere' }, { run: 6 })
    const jump = { store: OUTBOX, origin: 'outbox', notes: { from: 5, to: 8 }, reason: 'gone' }
    topics.note(1, 'jump', jump, inbox(6))
    expect((await topics.verify()).lostNotes).toMatchObject([{ from: 6, to: 8 }])
  })

  it('counts when the note itself is unreadable', async () => {
    const topics = topicsWithLetters()
    topics.note(6, 'deadletter', { reason: 'note checksum differs' })
    topics.note(7, 'heads', heads(1))
    expect((await topics.verify()).lostNotes).toMatchObject([lost(6, 6)])
  })
})

it('a retirement settles the lost notes of its past, and no later ones', async () => {
  const topics = topicsWithLetters()
  topics.recreate('deadletters')
  topics.note(1, 'retired', { stores: [OUTBOX], reason: 'broken' }, { origin: 'operator' })
  expect(await topics.verify()).toMatchObject({
    ...{ code: 1, lostNotes: [], retired: [{ store: OUTBOX, notes: 3 }] },
  })
  topics.note(7, 'heads', heads(1))
  expect(await topics.verify()).toMatchObject({ lostNotes: [lost(6, 6)], retired: [{ notes: 3 }] })
})
