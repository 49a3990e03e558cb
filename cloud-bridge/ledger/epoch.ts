import { IntervalSet } from '../interval-set.ts'
import { type Claim, createClaims } from './claims.ts'
import { createEpochZones, type EventPosition } from './epoch-zones.ts'
import type { Heads } from './notes/notes.ts'
import { createRunTimes } from './runs/run-times.ts'

/**
 * The first note of an epoch: `store` is the outbox's id, `note` the note's number, `first` the
 * epoch's first sequence. `at` and `appendTimeMs` are ms since 1970.
 */
export type EpochStart = {
  store: string
  note: number
  first: number
  at: number
  appendTimeMs: number
}

type ClaimOrigin = Omit<Claim, 'lastSequence'>

/** The last claim of a later run of the same store about the last sequence of this run. */
export type RunEnd = Claim & { run: number }

/** `strange`: the sequence is new, but the zone sequence was seen before. */
export type AddResult = 'new' | 'duplicate' | 'strange'

export type EpochLedger = ReturnType<typeof createEpochLedger>

/**
 * The account of one epoch, which is one run of a store. Zones that are complete are forgotten as
 * soon as the next epoch's first note has named the last number of each zone; the set of the
 * epoch's sequences stays, to recognise late duplicates.
 */
export function createEpochLedger(epoch: number) {
  const seen = new IntervalSet<EventPosition>()
  const zones = createEpochZones()
  const times = createRunTimes()
  const claims = createClaims()
  const known: { start?: EpochStart; store?: string } = {}
  const ends = new Map<number, RunEnd>()

  const trimIfComplete = () => {
    const first = known.start?.first ?? seen.lowest
    const last = claims.head?.lastSequence
    if (ends.size === 0 || first === undefined || last === undefined) return
    if (seen.covers(first, Math.max(last, seen.highest ?? last))) zones.trim()
  }

  return {
    epoch,
    seen,
    claims,
    zones,
    times,
    /** By run: the later runs that name the last sequence of this run. */
    ends: ends as ReadonlyMap<number, RunEnd>,
    /** The highest sequence that was seen or claimed; 0 without one. */
    get reach(): number {
      return Math.max(seen.highest ?? 0, claims.head?.lastSequence ?? 0)
    },
    get start(): EpochStart | null {
      return known.start ?? null
    },
    /** The id of the epoch's outbox; null until a note names the outbox. */
    get store(): string | null {
      return known.start?.store ?? known.store ?? null
    },
    /** Records a note that the run wrote, or that the bridge wrote when it read the outbox. */
    hear(store: string, appendTimeMs: number): void {
      known.store ??= store
      times.hear(appendTimeMs)
    },
    setStart(start: EpochStart): void {
      // A duplicate of the note: the earliest append time counts.
      const appendTimeMs = Math.min(
        start.appendTimeMs,
        known.start?.appendTimeMs ?? start.appendTimeMs,
      )
      known.start = { ...start, appendTimeMs }
      times.addNote(start.note, appendTimeMs)
    },
    add(position: EventPosition, zone: string, zoneSequence: number): AddResult {
      if (!seen.add(position.sequence, position)) return 'duplicate'
      times.addEvent(position.appendTimeMs)
      const isNew = zones.add(zone, zoneSequence, position)
      if (ends.size > 0) trimIfComplete()
      return isNew ? 'new' : 'strange'
    },
    /**
     * Adds a note's claim and the last numbers of the zones at that moment. `run` wrote the note: a
     * claim by another run is the end of this one.
     */
    claim(
      { lastSequence, zones: heads }: Heads,
      store: string,
      run: number,
      origin: ClaimOrigin,
    ): void {
      known.store = store
      claims.add({ lastSequence, ...origin })
      zones.raiseHeads(heads)
      if (run === epoch) times.addNote(origin.note, origin.appendTimeMs)
      else {
        addEnd(ends, { run, lastSequence, ...origin })
        trimIfComplete()
      }
    },
    /** Records that every sequence below `firstOpen` is delivered or explained. */
    prove(firstOpen: number): void {
      claims.prove(firstOpen)
      if (ends.size > 0) zones.trim()
    },
  }
}

/** Adds a claim about the end of a run; of several claims of one run, the last note counts. */
function addEnd(ends: Map<number, RunEnd>, end: RunEnd): void {
  const known = ends.get(end.run)
  if (!known || end.note > known.note) ends.set(end.run, end)
  else if (end.note === known.note) {
    known.appendTimeMs = Math.min(known.appendTimeMs, end.appendTimeMs)
  }
}

/**
 * How many events arrived with sequences above the highest claim: a loss after them would not be
 * noticed.
 */
export function unprovenIn({ seen, claims }: EpochLedger): number {
  const claimed = claims.head?.lastSequence ?? Number.NEGATIVE_INFINITY
  const unclaimedIn = ([from, to]: [number, number]) => to - Math.max(from - 1, claimed)
  return seen.spans.reduce((sum, span) => sum + Math.max(0, unclaimedIn(span)), 0)
}

/** The event with the lowest sequence of an epoch; null without events. */
export function oldestIn({ seen }: EpochLedger): EventPosition | null {
  const { lowest } = seen
  return lowest === undefined ? null : (seen.gaps(lowest - 1, lowest - 1)[0]?.after ?? null)
}
