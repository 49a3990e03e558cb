/** When Kafka stored the records of a run, in ms since 1970; null before the first. */
export function createRunTimes() {
  let newestEventMs: number | null = null
  let newestNote: { note: number; appendTimeMs: number } | null = null
  let otherNoteMs: number | null = null
  return {
    /** The newest event. */
    get newestEventMs() {
      return newestEventMs
    },
    /** The `epoch` or `heads` note that the run wrote last. */
    get newestNoteMs() {
      return newestNote?.appendTimeMs ?? null
    },
    /** The newest event, or the newest note that the run wrote. */
    get heardMs() {
      return newestOf(newestOf(newestEventMs, this.newestNoteMs), otherNoteMs)
    },
    addEvent(appendTimeMs: number): void {
      newestEventMs = newestOf(newestEventMs, appendTimeMs)
    },
    /**
     * Adds a note that the run wrote, by its number. An image that is put back sends old notes
     * again, which do not show that the run goes on: the earliest time of a note counts.
     */
    addNote(note: number, appendTimeMs: number): void {
      if (newestNote === null || note > newestNote.note) newestNote = { note, appendTimeMs }
      else if (note === newestNote.note) {
        newestNote.appendTimeMs = Math.min(newestNote.appendTimeMs, appendTimeMs)
      }
    },
    /** Adds a note of any kind. */
    hear(appendTimeMs: number): void {
      otherNoteMs = newestOf(otherNoteMs, appendTimeMs)
    },
  }
}

const newestOf = (a: number | null, b: number | null) =>
  a === null || b === null ? (a ?? b) : Math.max(a, b)
