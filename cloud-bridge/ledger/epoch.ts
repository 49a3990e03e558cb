import { IntervalSet } from '../interval-set.ts'
import { type Claim, createClaims } from './claims.ts'
import type { Heads } from './notes/notes.ts'

/**
 * An event's sequence; `at` is when the gateway received the event, `appendTimeMs` is when Kafka
 * stored it, both in ms since 1970.
 */
export type EventPosition = { sequence: number; at: number; appendTimeMs: number }

/** A zone within an epoch. */
export type EpochZone = {
  seen: IntervalSet<EventPosition>
  /** The highest zone sequence that a note reports; 0 before such a note. */
  head: number
  /**
   * The first zone sequence that must be accounted for. Null: the lowest one seen, because earlier
   * ones were complete and are forgotten.
   */
  first: number | null
}

/**
 * The first note of an epoch: `store` is the outbox's id, `note` the note's number, `first` the
 * epoch's first sequence; `at` and `appendTimeMs` are ms since 1970.
 */
export type EpochStart = {
  store: string
  note: number
  first: number
  at: number
  appendTimeMs: number
}

/** `strange`: the sequence is new, but the zone sequence was seen before. */
export type AddResult = 'new' | 'duplicate' | 'strange'

export type EpochLedger = ReturnType<typeof createEpochLedger>

/**
 * The account of one epoch. Zones that are complete are forgotten as soon as the next epoch's first
 * note has named the last number of each zone; the set of the epoch's sequences stays, to recognise
 * late duplicates.
 */
export function createEpochLedger(epoch: number) {
  const seen = new IntervalSet<EventPosition>()
  const zones = new Map<string, EpochZone>()
  const claims = createClaims()
  const known: { start?: EpochStart; store?: string } = {}
  let [isClosed, isTrimmed] = [false, false]

  const zoneOf = (name: string): EpochZone => {
    const found = zones.get(name)
    if (found) return found
    const zone: EpochZone = { seen: new IntervalSet(), head: 0, first: isTrimmed ? null : 1 }
    zones.set(name, zone)
    return zone
  }
  const trim = () => {
    for (const [name, zone] of zones) if (isComplete(zone)) zones.delete(name)
    isTrimmed = true
  }
  const trimIfComplete = () => {
    const first = known.start?.first ?? seen.lowest
    const last = claims.head?.lastSequence
    if (!isClosed || first === undefined || last === undefined) return
    if (seen.covers(first, last)) trim()
  }

  return {
    epoch,
    seen,
    claims,
    zones: zones as ReadonlyMap<string, EpochZone>,
    /** Whether a zone that is not in `zones` can be one that was complete and is forgotten. */
    get isTrimmed() {
      return isTrimmed
    },
    get start(): EpochStart | null {
      return known.start ?? null
    },
    /** The id of the epoch's outbox; null until a note names the outbox. */
    get store(): string | null {
      return known.start?.store ?? known.store ?? null
    },
    setStart(start: EpochStart): void {
      // A duplicate of the note: the earliest append time counts.
      const appendTimeMs = Math.min(
        start.appendTimeMs,
        known.start?.appendTimeMs ?? start.appendTimeMs,
      )
      known.start = { ...start, appendTimeMs }
    },
    /**
     * How many events arrived with sequences above the highest claim: a loss after them would not
     * be noticed.
     */
    get unproven(): number {
      const claimed = claims.head?.lastSequence ?? Number.NEGATIVE_INFINITY
      const unclaimedIn = ([from, to]: [number, number]) => to - Math.max(from - 1, claimed)
      return seen.spans.reduce((sum, span) => sum + Math.max(0, unclaimedIn(span)), 0)
    },
    add(position: EventPosition, zone: string, zoneSequence: number): AddResult {
      if (!seen.add(position.sequence, position)) return 'duplicate'
      const isNew = zoneOf(zone).seen.add(zoneSequence, position)
      if (isClosed) trimIfComplete()
      return isNew ? 'new' : 'strange'
    },
    /** Adds a note's claim and the last numbers of the zones at that moment. */
    claim(
      { lastSequence, zones }: Heads,
      store: string,
      origin: Omit<Claim, 'lastSequence'>,
    ): void {
      known.store = store
      claims.add({ lastSequence, ...origin })
      for (const [name, last] of zones) {
        const zone = zoneOf(name)
        zone.head = Math.max(zone.head, last)
      }
    },
    /**
     * To be called when the next epoch's first note has named the last numbers: the gateway assigns
     * no further numbers in this epoch.
     */
    close(): void {
      isClosed = true
      trimIfComplete()
    },
    /** Records that every sequence below `firstOpen` is delivered or explained. */
    prove(firstOpen: number): void {
      claims.prove(firstOpen)
      if (isClosed) trim()
    },
  }
}

/** The first zone sequence of a zone that must be accounted for. */
export function firstZoneSequenceOf({ first, seen, head }: EpochZone): number {
  return first ?? seen.lowest ?? head + 1
}

const isComplete = (zone: EpochZone) =>
  zone.seen.covers(firstZoneSequenceOf(zone), zone.head) && (zone.seen.highest ?? 0) <= zone.head
