import { type BellMark, bellFile, openBell, readBell } from '../file/bell.ts'

/** The last event and the last note of an outbox that a reader has seen. */
export type ReadMark = Pick<BellMark, 'sequence' | 'noteSequence'>

/**
 * Stores, in a bell beside the inbox, how far the bridge has read an outbox, whether or not Kafka
 * has the events yet. Positions become durable up to a second later than the events are read. If
 * the outbox were restored from a backup in that second, without the read mark new events could get
 * sequences that the bridge has passed already. The mark is not fsynced; only a power cut could
 * lose it.
 */
export function openReadMark(inboxFile: string) {
  const file = bellFile(inboxFile)
  const bell = openBell(file)
  let current: BellMark | null = readBell(file)
  return {
    /** Raises the mark. Call this before the events and notes leave the process. */
    advance(store: Buffer, { sequence = 0, noteSequence = 0 }: Partial<ReadMark>): void {
      const before = current?.store.equals(store) ? current : { sequence: 0, noteSequence: 0 }
      if (sequence <= before.sequence && noteSequence <= before.noteSequence) return
      current = {
        ...{ store, epoch: 0 },
        sequence: Math.max(sequence, before.sequence),
        noteSequence: Math.max(noteSequence, before.noteSequence),
      }
      bell.ring(current)
    },
    close: bell.close,
  }
}

/** Reads the read mark of an outbox from the bell beside the inbox; null when there is none. */
export function loadReadMark(inboxFile: string, store: Buffer): ReadMark | null {
  const mark = inboxFile ? readBell(bellFile(inboxFile)) : null
  return mark?.store.equals(store) ? mark : null
}
