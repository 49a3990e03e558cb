import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createObservedRuns } from '../../../cloud-bridge/watch/observed-runs.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { isFirst, overwrite } from '../../gateway/store/file/damaged-file.ts'
import { reading, readOutbox, temporary } from '../../gateway/store/fixture.ts'

type Value = { value: Buffer; sequence: number; run: number }

/** A folder with a card, whose gateway runs now and then, and what its notes say in the ledger. */
function startCard(gateway: string | null = 'gw') {
  const place = temporary()
  const card = place.file('card')
  const file = `${card}/outbox.db`
  const image = place.file('image')
  mkdirSync(card)
  return {
    ...{ file, [Symbol.dispose]: place[Symbol.dispose] },
    /** Runs the gateway once and stores some readings. */
    run(events = 3, id = gateway) {
      const outbox = openOutbox({ file, gateway: id })
      for (let n = 0; n < events; n++) outbox.commit({ readings: [reading('z')] })
      outbox.close()
      const store = outbox.store.toString('hex')
      return { store, gateway: outbox.gateway, epoch: outbox.epoch }
    },
    keepImage: () => cpSync(card, image, { recursive: true }),
    restoreImage() {
      rmSync(card, { recursive: true })
      cpSync(image, card, { recursive: true })
    },
    /** The values that the bridge sends for all notes of the outbox. */
    values({ store, gateway }: { store: string; gateway: string }): Value[] {
      return readOutbox(file).notes.map(note => {
        const { sequence, kind, at, run, content } = note
        const facts = { gateway: note.gateway ?? gateway, store, origin: 'outbox' }
        const text = JSON.stringify({ ...facts, sequence, kind, at, run, content })
        return { value: Buffer.from(text), sequence, run: run! }
      })
    },
  }
}

const MINUTE = 60_000

/** The warnings about a store after values that Kafka stored at these minutes. */
function warningsOf(
  own: { store: string; gateway: string; epoch: number },
  ...heard: [minute: number, values: Value[]][]
) {
  const observed = createObservedRuns(own)
  // The notes come in any order, and some twice.
  for (const [minute, values] of heard.toReversed()) {
    for (const { value } of [...values, ...values.slice(0, 2)]) observed.add(value, minute * MINUTE)
  }
  return observed.warnings(own.epoch)
}

describe('a card that was copied or put back to an image', () => {
  it('has a run that the own outbox does not know, before the gateway starts again', () => {
    using at = startCard()
    const own = at.run()
    at.keepImage()
    const lost = at.run()
    const values = at.values(own)
    at.restoreImage()
    expect(warningsOf(own, [1, values])).toEqual([
      expect.stringMatching(`newer run of this store \\(epoch ${lost.epoch}, last heard at 1970`),
    ])
  })

  it('has two runs that follow one run, with the newest time of the other branch', () => {
    using at = startCard()
    at.run()
    at.keepImage()
    const other = at.run()
    at.run()
    const values = at.values(other)
    at.restoreImage()
    const own = at.run()
    const [text, ...more] = warningsOf(
      own,
      [1, values.slice(0, 6)],
      [5, values],
      [2, at.values(own)],
    )
    expect(more).toEqual([])
    expect(text).toMatch(`two runs of this store follow one run: epoch ${own.epoch} on this`)
    expect(text).toMatch(`and epoch ${other.epoch}, last heard at 1970-01-01T00:05:00.000Z`)
  })

  it('has a run that claims the same numbers, also when only its newest notes are known', () => {
    using at = startCard()
    at.run()
    at.keepImage()
    at.run()
    at.run()
    const last = at.run(9)
    const lost = at.values(last).filter(({ run }) => run === last.epoch)
    at.restoreImage()
    const own = at.run(1)
    const kept = at.values(own).filter(({ run }) => run === own.epoch)
    expect(warningsOf(own, [1, lost], [2, kept])).toHaveLength(1)
  })

  it('is not reported any more when an operator retired the store afterwards', () => {
    using at = startCard()
    at.run()
    at.keepImage()
    const other = at.run()
    const values = at.values(other)
    at.restoreImage()
    const own = at.run()
    const content = { stores: [own.store], reason: 'r' }
    const note = { gateway: 'gw', store: own.store, origin: 'operator', kind: 'retired', content }
    const retired = [{ value: Buffer.from(JSON.stringify(note)), sequence: 1, run: 0 }]
    expect(warningsOf(own, [1, values], [3, retired], [4, at.values(own)])).toEqual([])
    expect(warningsOf(own, [5, values], [3, retired], [4, at.values(own)])).toHaveLength(1)
  })
})

describe('another store under the own id', () => {
  it('is reported while it was heard recently, and named', () => {
    using one = startCard()
    using two = startCard()
    const [own, other] = [one.run(), two.run()]
    const [ownValues, values] = [one.values(own), two.values(other)]
    const heard = warningsOf(own, [0, ownValues], [10, ownValues.slice(1)], [10, values])
    expect(heard).toEqual([expect.stringMatching(`store ${other.store} is heard under the id gw`)])
    // An hour later only this card is heard.
    expect(warningsOf(own, [0, ownValues], [10, values], [70, ownValues.slice(1)])).toEqual([])
  })

  it('is the old card when it was heard before the new card began', () => {
    using old = startCard()
    using fresh = startCard()
    const [before, own] = [old.run(), fresh.run()]
    expect(warningsOf(own, [1, old.values(before)], [2, fresh.values(own)])).toEqual([])
  })
})

describe('an ordinary card', () => {
  it('gives no warning after restarts, renames there and back, and notes that arrive twice', () => {
    using at = startCard()
    for (const id of ['gw', 'gw', 'hq', 'gw', 'gw']) at.run(3, id)
    const own = at.run()
    const values = at.values(own)
    expect(warningsOf(own, [1, values], [2, values])).toEqual([])
    for (let from = 0; from < values.length; from++) {
      expect(warningsOf(own, [1, values.slice(from)], [9, values.slice(-1)])).toEqual([])
    }
  })

  it('gives no warning after a salvage, and after the outbox alone was restored', () => {
    using at = startCard()
    at.run()
    at.run()
    overwrite(at.file, isFirst)
    at.run()
    const own = at.run()
    expect(warningsOf(own, [1, at.values(own)])).toEqual([])
  })

  it('gives no warning for values that are no notes, and for notes of other gateways', () => {
    using at = startCard()
    using other = startCard('elsewhere')
    const own = at.run()
    const texts = ['', 'null', '{}', `"${own.store}"`, `{"gateway":"gw","content":1}`, 'gw {']
    const strange = texts.map(text => ({ value: Buffer.from(text), sequence: 0, run: 0 }))
    const others = other.values(other.run())
    expect(warningsOf(own, [1, at.values(own)], [1, strange], [1, others])).toEqual([])
  })
})
