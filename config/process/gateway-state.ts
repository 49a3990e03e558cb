/**
 * What waits in the outbox: events, bytes of their groups, age of the oldest in ms, 0 for none. The
 * age is negative when the clock was set back since.
 */
export type Backlog = { events: number; bytes: number; oldestAgeMs: number }

/**
 * What the outbox takes, in bytes: its file, what of it is in use, what of that is delivered and
 * kept; what is free on its disk. `fullInMs` is when a bound is reached if what waits goes on
 * growing like this, null while it does not. `refuses` is why nothing is accepted now, or null.
 */
export type OutboxSpace = {
  fileBytes: number
  usedBytes: number
  keptBytes: number
  freeDiskBytes: number
  fullInMs: number | null
  refuses: string | null
}

/**
 * What the outbox makes its disk write: bytes since start; of the last minute, bytes a day and
 * bytes a reading, null while they are not known; the commit window in force; and why the budget is
 * not kept, or null.
 */
export type DiskWear = {
  writtenBytes: number
  perDayBytes: number | null
  perReadingBytes: number | null
  commitWindowMs: number
  beyondBudget: string | null
}

/** What a gateway tells of itself on its page /state. */
export type GatewayState = {
  part: 'gateway'
  pid: number
  store: string
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
