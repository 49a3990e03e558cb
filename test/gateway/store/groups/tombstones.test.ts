import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

/** An outbox of groups with one event each of zones x and y. */
function createOutbox(groups: number, place = temporary()) {
  const file = place.file('outbox.db')
  const outbox = openOutbox({ file, gateway: 'gw' })
  for (let n = 0; n < groups; n++) {
    outbox.commit({ readings: [reading('x', n), reading('y', n)], deadLetters: [] })
  }
  const drop = (groups: number, undelivered: { next: number; end: number | null }[] | null) =>
    outbox.pruning.drop(outbox.pruning.oldestGroups()[groups - 1]!, undelivered, 'why')
  const tombstones = () =>
    readOutbox(file)
      .notes.filter(({ kind }) => kind === 'tombstone')
      .map(({ content }) => content)
  const close = () => {
    outbox.close()
    place[Symbol.dispose]()
  }
  return { place, file, outbox, drop, tombstones, [Symbol.dispose]: close }
}

describe('a tombstone', () => {
  it('names every deleted event, zone by zone', () => {
    using at = createOutbox(5)
    at.drop(3, null)
    const { epoch } = at.outbox
    const zones = [
      ['x', 1, 3],
      ['y', 1, 3],
    ]
    expect(at.tombstones()).toEqual([{ epoch, from: 1, to: 6, count: 6, zones, reason: 'why' }])
    at.drop(1, null)
    expect(at.tombstones()[1]).toMatchObject({
      from: 7,
      to: 8,
      zones: [
        ['x', 4, 1],
        ['y', 4, 1],
      ],
    })
  })

  it('names no delivered event', () => {
    using at = createOutbox(8)
    at.drop(6, [
      { next: 3, end: 4 },
      { next: 9, end: 8 },
      { next: 10, end: null },
    ])
    expect(at.tombstones().map(({ from, to }) => [from, to])).toEqual([
      [3, 4],
      [9, 12],
    ])
  })

  it('has events of one epoch, because zone sequences restart in each epoch', () => {
    const before = createOutbox(2)
    const { epoch } = before.outbox
    before.outbox.close()
    using at = createOutbox(3, before.place)
    at.drop(4, null)
    expect(at.tombstones()).toMatchObject([
      {
        epoch,
        from: 1,
        to: 4,
        zones: [
          ['x', 1, 2],
          ['y', 1, 2],
        ],
      },
      {
        epoch: at.outbox.epoch,
        from: 5,
        to: 8,
        zones: [
          ['x', 1, 2],
          ['y', 1, 2],
        ],
      },
    ])
  })

  it('names the sequences of a group whose header is damaged', () => {
    using at = createOutbox(4)
    const db = new Database(at.file)
    db.exec("UPDATE groups SET header = x'00', count = 9999 WHERE sequence = 3")
    db.close()
    at.drop(3, null)
    expect(at.tombstones()).toMatchObject([
      { from: 1, to: 2, reason: 'why' },
      { from: 3, to: 4, count: 2, zones: [], reason: 'why; header checksum differs' },
      {
        from: 5,
        to: 6,
        zones: [
          ['x', 3, 1],
          ['y', 3, 1],
        ],
      },
    ])
  })
})
