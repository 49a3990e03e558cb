import { rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readDamageReason } from '../../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { readOutbox } from '../fixture.ts'
import { isFirst, isLeaf, LAST, overwrite, upTo, withDamaged } from './damaged-file.ts'

const limits = { maxEvents: 50, maxBytes: 1_000_000 }

/** A bridge's event source that reads a damaged outbox, and a gateway that reopens that outbox. */
function withBridge(damage: (file: string) => void) {
  const at = withDamaged(damage)
  const inboxFile = at.file.replace('outbox', 'inbox')
  const inbox = openInbox({ file: inboxFile, settleMs: 1_000_000 })
  const source = openEventSource({ outboxFile: at.file, inbox })
  const readAll = () => {
    const sequences: number[] = []
    source.refresh()
    source.ensureLiveRange('readings', 6)
    for (let taken = source.readBatch(limits); taken; taken = source.readBatch(limits)) {
      source.advance(taken)
      sequences.push(...taken.events.map(({ sequence }) => sequence))
    }
    return sequences
  }
  return {
    ...{ ...at, inbox, source, readAll },
    restart: () => openOutbox({ file: at.file, gateway: 'gw', inboxFile }),
    [Symbol.dispose]() {
      source.close()
      inbox.close()
      at[Symbol.dispose]()
    },
  }
}

describe('a bridge that reads a malformed page', () => {
  it('marks the outbox, waits, and continues after its position once the outbox is recovered', () => {
    let leaves = 0
    using at = withBridge(file => {
      overwrite(file, page => isLeaf(page) && ++leaves === 8)
    })
    const before = at.readAll()
    expect(before.length).toBeLessThan(LAST)
    expect(at.source.damaged).toContain('malformed')
    expect(readDamageReason(at.file)).toContain('malformed')
    expect(at.readAll()).toEqual([])
    expect([at.source.refresh(), at.source.backlog(), at.source.notesFrom(1)]).toEqual([
      null,
      null,
      [],
    ])
    const outbox = at.restart()
    expect(outbox.recovery).toMatchObject({ reason: expect.stringContaining('malformed') })
    const rest = at.readAll()
    expect(at.source.damaged).toBe(null)
    const { notes } = readOutbox(at.file)
    const lost = notes.flatMap(({ kind, content }) =>
      kind === 'quarantine' ? upTo(content.from as number, content.to as number) : [],
    )
    const all = [...before, ...rest]
    expect([...all, ...lost].sort((a, b) => a - b)).toEqual(upTo(1, LAST))
    expect(all).toEqual([...all].sort((a, b) => a - b))
    outbox.close()
  })

  it('marks an outbox that it cannot open when the bell names the store', () => {
    using at = withBridge(file => void overwrite(file, isFirst))
    expect(at.readAll()).toEqual([])
    expect(at.source.damaged).toContain('not a database')
    expect(readDamageReason(at.file)).toContain('not a database')
    at.restart().close()
    expect(at.readAll()).toEqual(upTo(1, LAST))
  })

  it('does not mark an unreadable file without a bell', () => {
    using at = withBridge(file => {
      overwrite(file, isFirst)
      rmSync(`${file}.bell`)
    })
    expect(at.readAll()).toEqual([])
    expect([at.source.damaged, readDamageReason(at.file)]).toEqual([null, null])
  })
})
