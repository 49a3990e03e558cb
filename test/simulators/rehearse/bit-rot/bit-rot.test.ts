import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { rehearseBitRot } from '../../../../simulators/rehearse/bit-rot/bit-rot.ts'
import { judgeFlip } from '../../../../simulators/rehearse/bit-rot/judgement.ts'
import {
  createReading,
  type SampleStore,
} from '../../../../simulators/rehearse/bit-rot/sample-store.ts'
import { digestStore } from '../../../../simulators/rehearse/bit-rot/store-digest.ts'

const FLIPS = 60
const SEED = 20261123

it('a flipped bit in any file of a store loses or changes no event without a note', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-rot-'))
  try {
    const { total, files, faults, readings } = await rehearseBitRot({
      times: FLIPS,
      seed: SEED,
      dir,
    })
    expect(faults).toEqual([])
    expect(readings).toBeGreaterThan(500)
    expect(total.flips).toBe(FLIPS)
    expect(total.unused + total.harmless + total.recovered + total.lossy).toBe(FLIPS)
    for (const { flips } of Object.values(files)) expect(flips).toBeGreaterThan(0)
    expect(Math.min(total.unused, total.harmless, total.recovered, total.lossy)).toBeGreaterThan(3)
    process.stderr.write(`${FLIPS} flips: ${JSON.stringify(total)}\n`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}, 60_000)

it('a flip counts as unused only where nothing that SQLite reads has changed', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-rot-'))
  try {
    const file = join(dir, 'outbox.db')
    const outbox = openOutbox({ file, gateway: 'g' })
    outbox.commit({ readings: [createReading(1, () => 0.5)] })
    outbox.close()
    openInbox({ file: join(dir, 'inbox.db'), settleMs: 1000 }).close()
    const sound = digestStore(dir)
    expect(digestStore(dir)).toBe(sound)
    const bytes = readFileSync(file)
    const digestWith = (at: number) => {
      writeFileSync(file, bytes.with(at, bytes[at]! ^ 1))
      return digestStore(dir)
    }
    // In SQLite's header byte 72 is reserved for expansion; byte 63 belongs to user_version.
    expect(digestWith(72)).toBe(sound)
    expect(digestWith(63)).not.toBe(sound)
    expect(digestWith(bytes.indexOf('standard'))).not.toBe(sound)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

it('a loss or change without a note is a fault', () => {
  const value = (text: string) => Buffer.from(text)
  const note = (sequence: number, kind: string, content: object) => ({
    ...{ origin: 'outbox' as const, sequence, kind, content: content as Record<string, unknown> },
  })
  const nothing = { damaged: null, isInboxRebuilt: false }
  const events = [5, 6, 7].map(sequence => ({ sequence, value: value(`event ${sequence}`) }))
  const notes = [note(1, 'epoch', { a: 1 }), note(2, 'heads', { b: 2 })]
  const delivered = { events, notes, ...nothing }
  const sample: SampleStore = { dir: '', delivered, deliveredUpTo: 4, lastSequence: 7 }
  const judged = (more: object, storedLater = new Map<number, number>()) =>
    judgeFlip(sample, storedLater, { ...delivered, ...more })
  expect(judged({})).toEqual({ lost: 0, lostNotes: 0, faults: [] })
  const without6 = events.filter(({ sequence }) => sequence !== 6)
  expect(judged({ events: without6 }).faults).toEqual(['events lost and not named: 6'])
  const named = [...notes, note(3, 'quarantine', { from: 6, to: 6 })]
  expect(judged({ events: without6, notes: named })).toMatchObject({ lost: 1, faults: [] })
  const changed = [...without6, { sequence: 6, value: value('event 9') }]
  expect(judged({ events: changed }).faults).toEqual(['event 6 was changed'])
  expect(judged({ notes: notes.slice(1) }).faults).toEqual(['note 1 (epoch) lost and not named'])
  const namedNote = [notes[1], note(3, 'jump', { notes: { from: 1, to: 1 } })]
  expect(judged({ notes: namedNote })).toMatchObject({ lostNotes: 1, faults: [] })
  const unreadable = [note(1, 'epoch', { reason: 'note checksum differs' }), notes[1]]
  expect(judged({ notes: unreadable })).toMatchObject({ lostNotes: 1, faults: [] })
  expect(judged({ events: without6 }, new Map([[6, 1]])).faults).toContain(
    'sequence 6 was assigned twice',
  )
})
