/**
 * The undelivered events in the outbox: their number, the bytes of their groups, and the age of the
 * oldest event in ms (0 without events, negative when the clock was set back after that event).
 */
export type Backlog = { events: number; bytes: number; oldestAgeMs: number }

/**
 * The space of the outbox, in bytes: the size of its file, the used part of the file, the part used
 * by kept (delivered) events, and the free space of its disk. `fullInMs` is the time until a bound
 * is reached if the backlog grows as it does now; null when the backlog does not grow. `refuses` is
 * why the gateway refuses messages now, or null. `acceptsAtFreeBytes` is how many bytes of the disk
 * must be free before the gateway accepts messages again; null when the disk has enough space.
 */
export type OutboxSpace = {
  fileBytes: number
  usedBytes: number
  keptBytes: number
  freeDiskBytes: number
  fullInMs: number | null
  refuses: string | null
  acceptsAtFreeBytes: number | null
}

/** How each reason begins that says why the outbox refuses messages. */
export const OUTBOX_REFUSES = 'the outbox refuses messages'

/**
 * The writes of the outbox to its disk: bytes since the start; bytes a day and bytes a reading,
 * both extrapolated from the last minute and null while unknown; the present commit window; and why
 * the write budget is exceeded, or null.
 */
export type DiskWear = {
  writtenBytes: number
  perDayBytes: number | null
  perReadingBytes: number | null
  commitWindowMs: number
  beyondBudget: string | null
}

/** The state of a gateway, as its page /state reports it. */
export type GatewayState = {
  part: 'gateway'
  pid: number
  /** The gateway's id in every event: the configured id, or the id that the outbox has. */
  gateway: string
  store: string
  /** The absolute path of the outbox. */
  outbox: string
  epoch: number
  lastSequence: number
  bytesSoFar: number
  backlog: Backlog
  space: OutboxSpace
  wear: DiskWear
  connections: number
  acknowledged: number
  stored: number
  buried: number
  repeated: number
  refused: number
}
