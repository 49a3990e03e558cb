import type { Database } from 'better-sqlite3'
import { type NoteLog, type NoteRow, noteContent, prepareNoteUpdate } from './note-log.ts'

/** One step rewrites at most so much. */
const STEP_MAX_LETTERS = 500
const STEP_MAX_BYTES = 4 * 1024 * 1024
/** Letters go until so much of the bound is left, so that not each look finds some to go. */
const SHARE_LEFT = 0.95
/** Nobody can send a topic or a place that nobody can read to keep its letter large. */
const TEXT_MAX_LENGTH = 1024

/** What stands first in a letter whose bytes were let go, so that it is told by its beginning. */
export const DEAD_LETTER_BYTES_KEY = 'outbox.bounds.deadLetterBytes'
const BEGINNING = Buffer.from(JSON.stringify({ dropped: DEAD_LETTER_BYTES_KEY }).slice(0, -1))
/** A letter that is larger still has its bytes. */
const BARE_MAX_BYTES = 32 * 1024

/** Whether a letter's bytes were let go. */
export const isPayloadDropped = ({ body }: NoteRow) =>
  body.subarray(0, BEGINNING.length).equals(BEGINNING)

export type DeadLetterBound = ReturnType<typeof createDeadLetterBound>

/**
 * Bounds what dead letters take that are not delivered: the oldest lose their bytes and nothing
 * else, so that each still arrives under its number. A look costs as much as what came and what was
 * delivered since the last one; the first one, and one at an inbox that begins again, reads all of
 * them.
 */
export function createDeadLetterBound(db: Database, notes: NoteLog) {
  const span = "FROM notes WHERE kind = 'deadletter' AND sequence BETWEEN @from AND @to"
  const sum = db.prepare(`SELECT coalesce(sum(length(body)), 0) ${span}`).pluck()
  const withBytes = db.prepare(
    `SELECT coalesce(sum(length(body)), 0) AS bytes, min(sequence) AS first ${span}
     AND (length(body) > ${BARE_MAX_BYTES}
     OR substr(body, 1, ${BEGINNING.length}) <> x'${BEGINNING.toString('hex')}')`,
  )
  const oldest = db.prepare(`SELECT * ${span} ORDER BY sequence LIMIT ${STEP_MAX_LETTERS}`)
  const rewrite = prepareNoteUpdate(db)
  /** `bytes` are those of the letters from `from` to `to`; what is before is delivered or bare. */
  let known: { nextNote: number; from: number; to: number; bytes: number } | null = null
  let letGo = 0

  const bytesOf = (from: number, to: number) => sum.get({ from, to }) as number
  const lookAnew = (nextNote: number) => {
    const to = notes.last
    const { bytes, first } = withBytes.get({ from: nextNote, to }) as Sum
    known = { nextNote, from: first ?? to + 1, to, bytes }
    return known
  }
  const bare = (row: NoteRow): number => {
    const content: Record<string, unknown> = noteContent(row)
    // A damaged letter is left as it is, because that must show.
    if (typeof content.payload !== 'string') return 0
    const body = bareBody(content)
    if (body.length >= row.body.length) return 0
    rewrite({ ...row, body })
    return 1
  }
  return {
    /** How many letters lost their bytes since the store was opened. */
    get letGo() {
      return letGo
    },
    /**
     * To be called with the first note that is not delivered (null: nobody can say just now),
     * before notes are deleted; gives what letters from there on take that still have their bytes.
     */
    advanceTo(next: number | null): number {
      const nextNote = next ?? known?.nextNote ?? 1
      const state = known && nextNote >= known.nextNote ? known : lookAnew(nextNote)
      if (notes.last > state.to) {
        state.bytes += bytesOf(Math.max(state.from, state.to + 1), notes.last)
        state.to = notes.last
      }
      if (nextNote > state.from) {
        state.bytes -= bytesOf(state.from, nextNote - 1)
        state.from = nextNote
      }
      state.nextNote = nextNote
      return state.bytes
    },
    /** Takes their bytes from the oldest beyond `mostBytes`; false when there are none. */
    bound(mostBytes: number): boolean {
      if (!known || known.bytes <= mostBytes) return false
      const { from, to, bytes } = known
      const aim = mostBytes * SHARE_LEFT
      let [next, left, gone, read] = [to + 1, bytes, 0, 0]
      notes.transact(() => {
        const rows = oldest.all({ from, to }) as NoteRow[]
        if (rows.length === STEP_MAX_LETTERS) next = rows.at(-1)!.sequence + 1
        for (const row of rows) {
          if (left <= aim || read >= STEP_MAX_BYTES) {
            next = row.sequence
            break
          }
          // A damaged row may have no body at all.
          const bytes = row.body?.length ?? 0
          left -= bytes
          read += bytes
          gone += bare(row)
        }
      })
      known = { ...known, from: next, bytes: next > to ? 0 : left }
      letGo += gone
      return true
    },
  }
}

type Sum = { bytes: number; first: number | null }

/** A letter's content without its bytes, which were in base64. */
function bareBody({ payload, ...content }: Record<string, unknown>): Buffer {
  const size = Buffer.byteLength(String(payload), 'base64')
  const short = Object.entries(content).map(([name, value]) => [name, cut(value)])
  return Buffer.from(
    JSON.stringify({
      dropped: DEAD_LETTER_BYTES_KEY,
      ...Object.fromEntries(short),
      payload: null,
      size,
    }),
  )
}

function cut(value: unknown): unknown {
  if (typeof value !== 'string' || value.length <= TEXT_MAX_LENGTH) return value
  return `${value.slice(0, TEXT_MAX_LENGTH).toWellFormed()}…`
}
