import { IntervalSet } from '../interval-set.ts'
import { type Claim, createClaims } from './claims.ts'
import type { Heads } from './notes.ts'

/** Where an event stands in its epoch; when it was received and Kafka got it (ms since 1970). */
export type EventPosition = { sequence: number; at: number; heardAt: number }

/** A zone within an epoch. */
export type EpochZone = {
  seen: IntervalSet<EventPosition>
  /** The last number given out, as far as a note said so. */
  head: number
  /** Where proof begins; null: at the lowest number seen, because what was before is forgotten. */
  first: number | null
}

/** What the first note of an epoch says: whose it is, that note's number, the first sequence. */
export type EpochStart = { store: string; note: number; first: number; at: number; heardAt: number }

/** `strange` has a new sequence, but a zone sequence that was seen before. */
export type AddResult = 'new' | 'duplicate' | 'strange'

export type EpochLedger = ReturnType<typeof createEpochLedger>

/**
 * What is known of one run of a gateway's writer. Once the next run has named its heads, zones that
 * are whole are forgotten; the one interval of its sequences stays, to tell late duplicates.
 */
export function createEpochLedger(epoch: number) {
  const seen = new IntervalSet<EventPosition>()
  const zones = new Map<string, EpochZone>()
  const claims = createClaims()
  const known: { begun?: EpochStart; store?: string } = {}
  let [isClosed, isTrimmed] = [false, false]

  const zoneOf = (name: string): EpochZone => {
    const found = zones.get(name)
    if (found) return found
    const zone: EpochZone = { seen: new IntervalSet(), head: 0, first: isTrimmed ? null : 1 }
    zones.set(name, zone)
    return zone
  }
  const trim = () => {
    for (const [name, zone] of zones) if (isWhole(zone)) zones.delete(name)
    isTrimmed = true
  }
  const trimIfWhole = () => {
    const first = known.begun?.first ?? seen.lowest
    const last = claims.head?.lastSequence
    if (!isClosed || first === undefined || last === undefined) return
    if (seen.covers(first, last)) trim()
  }

  return {
    epoch,
    seen,
    claims,
    zones: zones as ReadonlyMap<string, EpochZone>,
    /** Whether zones that are not here may be forgotten ones. */
    get isTrimmed() {
      return isTrimmed
    },
    get begun(): EpochStart | null {
      return known.begun ?? null
    },
    /** The outbox it belongs to; null until a note says so. */
    get store(): string | null {
      return known.begun?.store ?? known.store ?? null
    },
    begin(begun: EpochStart): void {
      // A note that comes twice was said when it was heard first.
      const heardAt = Math.min(begun.heardAt, known.begun?.heardAt ?? begun.heardAt)
      known.begun = { ...begun, heardAt }
    },
    /** How many events were seen that no note claims yet: one lost behind them would not show. */
    get unproven(): number {
      const claimed = claims.head?.lastSequence ?? Number.NEGATIVE_INFINITY
      const behind = ([from, to]: [number, number]) => to - Math.max(from - 1, claimed)
      return seen.spans.reduce((sum, span) => sum + Math.max(0, behind(span)), 0)
    },
    add(mark: EventPosition, zone: string, zoneSequence: number): AddResult {
      if (!seen.add(mark.sequence, mark)) return 'duplicate'
      const isNew = zoneOf(zone).seen.add(zoneSequence, mark)
      if (isClosed) trimIfWhole()
      return isNew ? 'new' : 'strange'
    },
    /** Takes note of how far it and its zones had come at a moment. */
    claim({ lastSequence, zones }: Heads, store: string, said: Omit<Claim, 'lastSequence'>): void {
      known.store = store
      claims.add({ lastSequence, ...said })
      for (const [name, last] of zones) {
        const zone = zoneOf(name)
        zone.head = Math.max(zone.head, last)
      }
    },
    /** The next epoch has named the heads: no more will come. */
    close(): void {
      isClosed = true
      trimIfWhole()
    },
    /** All sequences below this one were seen or are explained. */
    prove(firstOpen: number): void {
      claims.prove(firstOpen)
      if (isClosed) trim()
    },
  }
}

/** Where the numbers of a zone begin that must be there. */
export function firstZoneSequenceOf({ first, seen, head }: EpochZone): number {
  return first ?? seen.lowest ?? head + 1
}

const isWhole = (zone: EpochZone) =>
  zone.seen.covers(firstZoneSequenceOf(zone), zone.head) && (zone.seen.highest ?? 0) <= zone.head
