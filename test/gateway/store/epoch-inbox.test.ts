import { rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { copyStore, reading, readOutbox, temporary } from './fixture.ts'

const deadLetter = { reason: 'r', place: '', topic: 't', payload: Buffer.of(1) }

/**
 * An outbox and its bell, both restored from a backup with event 3 and note 1 as the last, beside
 * an inbox whose positions are after event 8 and note 4 of the store.
 */
function withRestoredOutbox() {
  const place = temporary()
  const [file, inboxFile] = [place.file('outbox.db'), place.file('inbox.db')]
  const open = () => openOutbox({ file, gateway: 'gw', inboxFile })
  const commit = (outbox: ReturnType<typeof open>, count: number) =>
    outbox.commit({ readings: new Array(count).fill(reading('z')), deadLetters: [] })
  const outbox = open()
  commit(outbox, 3)
  copyStore(file, `${file}.old`)
  commit(outbox, 5)
  const deadLetters = new Array(3).fill({ at: 1, deadLetter })
  outbox.commit({ readings: [], deadLetters })
  outbox.close()
  const inbox = openInbox({ file: inboxFile, settleMs: 1 })
  const rest = {
    end: null,
    topic: 't',
    partitions: 6,
    zones: null,
    kind: 'live',
    reason: '',
  } as const
  inbox.addRange({ store: outbox.store, next: 9, ...rest })
  inbox.addRange({ store: Buffer.alloc(16, 1), next: 999, ...rest })
  inbox.moveNotes(outbox.store, 5)
  inbox.close()
  for (const end of ['', '-wal', '-shm', '.bell']) rmSync(`${file}${end}`, { force: true })
  copyStore(`${file}.old`, file)
  return { ...{ file, open, commit }, [Symbol.dispose]: place[Symbol.dispose] }
}

describe('an outbox restored beside a newer inbox', () => {
  it('gives no sequence below the inbox positions, and names the hole', () => {
    using at = withRestoredOutbox()
    const outbox = at.open()
    at.commit(outbox, 1)
    outbox.close()
    const { events, notes } = readOutbox(at.file)
    expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 9])
    const holes = notes.filter(({ kind }) => kind === 'hole')
    expect(holes.map(({ content }) => content)).toEqual([
      expect.objectContaining({ from: 4, to: 8, notes: { from: 2, to: 4 } }),
    ])
    expect(notes.map(({ sequence }) => sequence)).toEqual([1, 5, 6, 7])
  })

  it('names the hole once', () => {
    using at = withRestoredOutbox()
    for (let start = 0; start < 3; start++) at.open().close()
    expect(readOutbox(at.file).notes.filter(({ kind }) => kind === 'hole')).toHaveLength(1)
  })

  it('has no further hole when the inbox is older or missing', () => {
    using at = withRestoredOutbox()
    const outbox = at.open()
    at.commit(outbox, 20)
    outbox.close()
    rmSync(at.file.replace('outbox', 'inbox'))
    at.open().close()
    expect(readOutbox(at.file).notes.filter(({ kind }) => kind === 'hole')).toHaveLength(1)
  })
})
