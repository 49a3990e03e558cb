import { Intervals } from '../consumers/intervals.ts'
import type { Heads } from './notes.ts'

/** Where an event stands in its epoch and when it was received (ms since 1970). */
export type Mark = { sequence: number; at: number }

/** A zone within an epoch. */
export type Zone = {
  seen: Intervals<Mark>
  /** The last number given out, as far as a note said so. */
  head: number
  /** Where proof begins; null: at the lowest number seen, because what was before is forgotten. */
  first: number | null
}

/** A moment up to which an epoch is claimed to be whole. */
export type Claim = { lastSequence: number; at: number }

/** More open claims than this are thinned out: then the moment of completeness is less exact. */
const CLAIMS_MAX = 256

export type Epoch = ReturnType<typeof startEpoch>

/**
 * What is known of one run of a gateway's writer. Once the next run has named its heads, zones that
 * are whole are forgotten; the one interval of its sequences stays, to tell late duplicates.
 */
export function startEpoch(epoch: number) {
  const seen = new Intervals<Mark>()
  const zones = new Map<string, Zone>()
  let claims: Claim[] = []
  let begun: { store: string; note: number; first: number; at: number } | null = null
  let store: string | null = null
  let [head, proven]: (Claim | null)[] = [null, null]
  let [isClosed, isTrimmed] = [false, false]

  const zoneOf = (name: string): Zone => {
    let zone = zones.get(name)
    if (!zone) {
      zone = { seen: new Intervals(), head: 0, first: isTrimmed ? null : 1 }
      zones.set(name, zone)
    }
    return zone
  }
  const trim = () => {
    for (const [name, zone] of zones) if (isWhole(zone)) zones.delete(name)
    isTrimmed = true
  }
  const trimIfWhole = () => {
    const first = begun?.first ?? seen.lowest
    if (!isClosed || !head || first === undefined) return
    if (seen.covers(first, head.lastSequence)) trim()
  }

  return {
    epoch,
    seen,
    zones: zones as ReadonlyMap<string, Zone>,
    /** Whether zones that are not here may be forgotten ones. */
    get isTrimmed() {
      return isTrimmed
    },
    /** When its first note was written, the number of that note, and the first sequence. */
    get begun() {
      return begun
    },
    /** The outbox it belongs to; null until a note says so. */
    get store() {
      return store
    },
    /** How far it came, by the furthest note. */
    get head() {
      return head
    },
    /** The newest claim that was found true, and those that were not yet. */
    get proven() {
      return proven
    },
    get claims(): readonly Claim[] {
      return claims
    },
    begin(at: NonNullable<typeof begun>): void {
      begun = at
      store = at.store
    },
    /** Counts an event in; `strange` has a new sequence and a zone sequence that was seen. */
    add(mark: Mark, zone: string, zoneSequence: number): 'new' | 'duplicate' | 'strange' {
      if (!seen.add(mark.sequence, mark)) return 'duplicate'
      const isNew = zoneOf(zone).seen.add(zoneSequence, mark)
      if (isClosed) trimIfWhole()
      return isNew ? 'new' : 'strange'
    },
    claim(heads: Heads, of: string, at: number): void {
      const claim = { lastSequence: heads.lastSequence, at }
      store ??= of
      if (!head || claim.lastSequence >= head.lastSequence) head = claim
      for (const [name, last] of heads.zones) {
        const zone = zoneOf(name)
        zone.head = Math.max(zone.head, last)
      }
      claims.push(claim)
      // Every second one, and the newest.
      if (claims.length > CLAIMS_MAX) claims = claims.filter((_, at) => at % 2 === 0)
    },
    /** The next epoch has named the heads: no more will come. */
    close(): void {
      isClosed = true
      trimIfWhole()
    },
    /** Takes the claims below the first sequence that is not accounted for as true. */
    prove(firstOpen: number): void {
      const proved = claims.filter(({ lastSequence }) => lastSequence < firstOpen)
      for (const claim of proved) if (!proven || claim.at >= proven.at) proven = claim
      if (proved.length > 0) claims = claims.filter(claim => !proved.includes(claim))
      if (isClosed) trim()
    },
  }
}

/** Where the numbers of a zone begin that must be there. */
export function firstOf({ first, seen, head }: Zone): number {
  return first ?? seen.lowest ?? head + 1
}

const isWhole = (zone: Zone) =>
  zone.seen.covers(firstOf(zone), zone.head) && (zone.seen.highest ?? 0) <= zone.head
