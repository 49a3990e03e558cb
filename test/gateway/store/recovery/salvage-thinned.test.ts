import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { markDamaged } from '../../../../gateway/store/file/damage-mark.ts'
import { createMeans } from '../../../../gateway/store/groups/downsampling.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

const KEPT = new Set([1, 4, 9])

/** Groups of three events, of which the first five are thinned to three events in one row. */
function startThinned() {
  const place = temporary()
  const file = place.file('outbox.db')
  const open = () => openOutbox({ file, gateway: 'gw' })
  const outbox = open()
  const some = ['a', 'b', 'a'].map((zone, n) => reading(zone, n))
  for (let n = 0; n < 7; n++) outbox.commit({ readings: some })
  const what = { means: createMeans(), isLast: true, reason: 'why' }
  outbox.thinner.thin([1, 4, 7, 10, 13], KEPT, what)
  const numbers = () => readOutbox(file).events.map(({ sequence }) => sequence)
  const close = () => place[Symbol.dispose]()
  return { file, outbox, open, numbers, [Symbol.dispose]: close }
}
const change = (file: string, sql: string) => {
  const db = new Database(file)
  db.exec(sql)
  db.close()
}
const quarantined = (file: string) =>
  readOutbox(file)
    .notes.filter(({ kind }) => kind === 'quarantine')
    .map(({ content }) => [content.from, content.to])

describe('a thinned group', () => {
  it('survives a rebuild with its counts', () => {
    using at = startThinned()
    const before = at.numbers()
    expect(before).toEqual([...KEPT, 16, 17, 18, 19, 20, 21])
    const backlog = at.outbox.backlog(null, 0)
    at.outbox.close()
    markDamaged(at.file, 'a test')
    const reopened = at.open()
    expect(reopened.recovery?.salvaged).toMatchObject({ groups: 3, events: 9, lostEvents: 0 })
    expect(at.numbers()).toEqual(before)
    expect(reopened.backlog(null, 0).events).toBe(backlog.events)
    reopened.close()
    expect(quarantined(at.file)).toEqual([])
  })

  it('is named when it is lost; events that thinning deleted are not named again', () => {
    using at = startThinned()
    at.outbox.close()
    change(at.file, "UPDATE groups SET body = x'00' WHERE sequence = 1")
    markDamaged(at.file, 'a test')
    at.open().close()
    expect(quarantined(at.file)).toEqual([...KEPT].map(sequence => [sequence, sequence]))
  })
})
