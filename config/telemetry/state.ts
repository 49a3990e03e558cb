/**
 * What waits in the outbox: events, bytes of their groups, age of the oldest in ms, 0 for none. The
 * age is negative when the clock was set back since.
 */
export type Backlog = { events: number; bytes: number; oldestAgeMs: number }

/** What a gateway tells of itself on its page /state. */
export type GatewayState = {
  part: 'gateway'
  pid: number
  store: string
  epoch: number
  lastSequence: number
  bytesSoFar: number
  backlog: Backlog
  connections: number
  acknowledged: number
  stored: number
  buried: number
  repeated: number
  refused: number
}
