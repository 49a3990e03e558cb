import type { Database } from 'better-sqlite3'
import { encodeNoteBody, UNKNOWN_WRITER } from './note-kinds.ts'
import { type NoteLog, type NoteRow, noteContent, prepareNoteUpdate } from './note-log.ts'

/**
 * One step rewrites at most this many dead letters. It stops after the dead letter with which it
 * has read this many bytes.
 */
const STEP_MAX_DEAD_LETTERS = 500
const STEP_MAX_BYTES = 4 * 1024 * 1024
/**
 * Payloads are dropped until the bytes fall to this share of the bound, so that not every check has
 * to drop payloads.
 */
const TARGET_RATIO = 0.95
/**
 * Longer texts of a dead letter without payload are truncated, because otherwise a long topic would
 * keep the dead letter large.
 */
const TEXT_MAX_LENGTH = 1024

/**
 * The configuration key of the bound at which payloads are dropped. The JSON body of a dead letter
 * without payload begins with the field `dropped`, whose value is this key.
 */
export const DEAD_LETTER_BYTES_KEY = 'outbox.bounds.deadLetterBytes'
const DROPPED_PREFIX = Buffer.from(JSON.stringify({ dropped: DEAD_LETTER_BYTES_KEY }).slice(0, -1))
/**
 * A body larger than this always has its payload, so SQLite need not read the beginning of the
 * body.
 */
const DROPPED_MAX_BYTES = 32 * 1024

/** Whether the payload of a dead letter was dropped at the bound. */
export const isPayloadDropped = ({ body }: NoteRow) =>
  body.subarray(0, DROPPED_PREFIX.length).equals(DROPPED_PREFIX)

export type DeadLetterBound = ReturnType<typeof createDeadLetterBound>

/**
 * Limits the bytes of undelivered dead letters. Above the limit, the oldest dead letters lose their
 * payloads and nothing else (very long texts are truncated), so each dead letter is still delivered
 * under its number. A check reads only the dead letters that were stored or delivered since the
 * check before. The first check, and a check after the inbox was replaced, reads all undelivered
 * dead letters.
 */
export function createDeadLetterBound(db: Database, notes: NoteLog) {
  const inSpan = "FROM notes WHERE kind = 'deadletter' AND sequence BETWEEN @from AND @to"
  const sumBytes = db.prepare(`SELECT coalesce(sum(length(body)), 0) ${inSpan}`).pluck()
  const sumWithPayload = db.prepare(
    `SELECT coalesce(sum(length(body)), 0) AS bytes, min(sequence) AS first ${inSpan}
     AND (length(body) > ${DROPPED_MAX_BYTES}
     OR substr(body, 1, ${DROPPED_PREFIX.length}) <> x'${DROPPED_PREFIX.toString('hex')}')`,
  )
  const oldest = db.prepare(`SELECT * ${inSpan} ORDER BY sequence LIMIT ${STEP_MAX_DEAD_LETTERS}`)
  const update = prepareNoteUpdate(db)
  /**
   * `bytes` counts the dead letters from `from` to `to`; every dead letter before `from` is
   * delivered or has lost its payload.
   */
  let counted: { nextNote: number; from: number; to: number; bytes: number } | null = null
  let droppedPayloads = 0

  const bytesIn = (from: number, to: number) => sumBytes.get({ from, to }) as number
  const countAll = (nextNote: number) => {
    const to = notes.last
    const { bytes, first } = sumWithPayload.get({ from: nextNote, to }) as PayloadSum
    counted = { nextNote, from: first ?? to + 1, to, bytes }
    return counted
  }
  const dropPayload = (row: NoteRow): boolean => {
    const content = noteContent(row)
    // A damaged dead letter stays as it is, because the damage must be reported.
    if (typeof content.payload !== 'string') return false
    const body = bodyWithoutPayload(content)
    if (body.length >= row.body.length) return false
    update({ ...row, body })
    return true
  }
  return {
    /** How many dead letters lost their payloads since the outbox was opened. */
    get droppedPayloads() {
      return droppedPayloads
    },
    /**
     * Returns the bytes of the undelivered dead letters that still have their payloads.
     * `firstUndelivered` is the number of the first undelivered note; null when it is unknown at
     * the moment. Call this before notes are deleted.
     */
    advanceTo(firstUndelivered: number | null): number {
      const nextNote = firstUndelivered ?? counted?.nextNote ?? 1
      const state = counted && nextNote >= counted.nextNote ? counted : countAll(nextNote)
      if (notes.last > state.to) {
        state.bytes += bytesIn(Math.max(state.from, state.to + 1), notes.last)
        state.to = notes.last
      }
      if (nextNote > state.from) {
        state.bytes -= bytesIn(state.from, nextNote - 1)
        state.from = nextNote
      }
      state.nextNote = nextNote
      return state.bytes
    },
    /**
     * Drops payloads of the oldest dead letters while their bytes exceed `maxBytes`, at most one
     * step. Returns false when they do not exceed `maxBytes`.
     */
    dropPayloads(maxBytes: number): boolean {
      if (!counted || counted.bytes <= maxBytes) return false
      const { from, to, bytes } = counted
      const targetBytes = maxBytes * TARGET_RATIO
      let [next, bytesLeft, dropped, bytesRead] = [to + 1, bytes, 0, 0]
      notes.transact(() => {
        const rows = oldest.all({ from, to }) as NoteRow[]
        if (rows.length === STEP_MAX_DEAD_LETTERS) next = rows.at(-1)!.sequence + 1
        for (const row of rows) {
          if (bytesLeft <= targetBytes || bytesRead >= STEP_MAX_BYTES) {
            next = row.sequence
            break
          }
          // A damaged row may have no body at all.
          const bodyBytes = row.body?.length ?? 0
          bytesLeft -= bodyBytes
          bytesRead += bodyBytes
          if (dropPayload(row)) dropped++
        }
      })
      counted = { ...counted, from: next, bytes: next > to ? 0 : bytesLeft }
      droppedPayloads += dropped
      return true
    },
  }
}

type PayloadSum = { bytes: number; first: number | null }

/** The body of a dead letter without its base64 payload, but with the payload's `size` in bytes. */
function bodyWithoutPayload({ payload, ...stored }: Record<string, unknown>): Buffer {
  const size = Buffer.byteLength(String(payload), 'base64')
  const fields = Object.entries(stored).map(([name, value]) => [name, truncateText(value)])
  const facts: Record<string, unknown> = Object.fromEntries(fields)
  const content = { dropped: DEAD_LETTER_BYTES_KEY, ...facts, payload: null, size }
  return encodeNoteBody({ kind: 'deadletter', content }, UNKNOWN_WRITER)
}

function truncateText(value: unknown): unknown {
  if (typeof value !== 'string' || value.length <= TEXT_MAX_LENGTH) return value
  return `${value.slice(0, TEXT_MAX_LENGTH).toWellFormed()}…`
}
