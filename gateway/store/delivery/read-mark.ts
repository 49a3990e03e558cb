import { type BellMark, bellFile, openBell, readBell } from '../file/bell.ts'

/** The last event and the last note of an outbox that somebody has seen. */
export type ReadMark = Pick<BellMark, 'sequence' | 'noteSequence'>

/**
 * Keeps, in a bell beside the inbox, how far the bridge has taken an outbox, whether Kafka has it
 * yet or not. Positions are durable a second later; until then a restored outbox would number on
 * below what the bridge passes by. Not fsynced: a power cut ends the bridge, too.
 */
export function openReadMark(inboxFile: string) {
  const file = bellFile(inboxFile)
  const bell = openBell(file)
  let known: BellMark | null = readBell(file)
  return {
    /** To be called before what was taken leaves. */
    advance(store: Buffer, { sequence = 0, noteSequence = 0 }: Partial<ReadMark>): void {
      const before = known?.store.equals(store) ? known : { sequence: 0, noteSequence: 0 }
      if (sequence <= before.sequence && noteSequence <= before.noteSequence) return
      known = {
        ...{ store, epoch: 0 },
        sequence: Math.max(sequence, before.sequence),
        noteSequence: Math.max(noteSequence, before.noteSequence),
      }
      bell.ring(known)
    },
    close: bell.close,
  }
}

/** How far the bridge has taken an outbox, as far as the bell beside the inbox says. */
export function loadReadMark(inboxFile: string, store: Buffer): ReadMark | null {
  const mark = inboxFile ? readBell(bellFile(inboxFile)) : null
  return mark?.store.equals(store) ? mark : null
}
