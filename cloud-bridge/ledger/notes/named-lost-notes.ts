/**
 * Numbers of notes that never arrive; their content is unknown. `isSkipped`: the run that names the
 * numbers gave them to no note, because they belong to notes of an earlier run.
 */
export type LostNotes = {
  origin: string
  from: number
  to: number
  reason: string
  isSkipped?: boolean
}

/** Lost notes as a note names them; Kafka stored that note at `appendTimeMs` (ms since 1970). */
export type NamedLostNotes = LostNotes & {
  store: string
  run: number | null
  appendTimeMs: number
}
