/** When Kafka stored the records of a run, in ms since 1970; null before the first. */
export function createRunTimes() {
  let newestEventMs: number | null = null
  let newestNoteMs: number | null = null
  let otherNoteMs: number | null = null
  return {
    /** The newest event. */
    get newestEventMs() {
      return newestEventMs
    },
    /** The newest `epoch` or `heads` note that the run wrote. */
    get newestNoteMs() {
      return newestNoteMs
    },
    /** The newest event, or the newest note that the run wrote. */
    get heardMs() {
      return newestOf(newestOf(newestEventMs, newestNoteMs), otherNoteMs)
    },
    addEvent(appendTimeMs: number): void {
      newestEventMs = newestOf(newestEventMs, appendTimeMs)
    },
    addNote(appendTimeMs: number): void {
      newestNoteMs = newestOf(newestNoteMs, appendTimeMs)
    },
    /** Adds a note of any kind. */
    hear(appendTimeMs: number): void {
      otherNoteMs = newestOf(otherNoteMs, appendTimeMs)
    },
  }
}

const newestOf = (a: number | null, b: number | null) =>
  a === null || b === null ? (a ?? b) : Math.max(a, b)
