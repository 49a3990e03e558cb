import { performance } from 'node:perf_hooks'
import type { Config } from '../../../config/config.ts'
import type { ClockState } from '../../../config/event/sensor-reading.ts'
import type { Backlog, OutboxSpace } from '../../../config/process/gateway-state.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { type InboxState, isUnknown } from '../delivery/inbox-reader.ts'
import type { DiskSpace } from '../file/disk-space.ts'
import { createLanePolicies } from '../groups/lanes.ts'
import type { Outbox } from '../outbox.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import { findReachedBound, type ReachedBound } from './bounds.ts'
import { createDeletion, type Deletion } from './delivered-pruning.ts'
import { createSpaceReport } from './forecast.ts'
import { createGroupAges } from './group-age.ts'
import { createReclaimSteps, DISK_FULL } from './reclaim-steps.ts'
import { createThinning } from './thinning.ts'

type Settings = Pick<Config['outbox'], 'file' | 'keep' | 'bounds' | 'whenFull' | 'lanes'>

/** Far from all bounds, between two looks at most so much time passes, or so much is stored. */
const MEASURE_EVERY_MS = 50
const MEASURE_EVERY_BYTES = { least: 64 * 1024, most: 1024 * 1024 }
/** Of any bound, far less than what is called near. */
const MEASURE_EVERY_SHARE = 0.01
/** Before a commit at most so many steps make room; then it is refused, unless some is coming. */
const STEPS_BEFORE_COMMIT = 8

const AHEAD_EVENTS = 2000

export type RetentionOptions = {
  ages?: ReturnType<typeof createGroupAges>
  /** How many events behind what it delivered the bridge may have read. */
  readAheadMaxEvents?: number | undefined
}

export type Retention = ReturnType<typeof createRetention>

/**
 * Keeps an outbox within its bounds and gives its room back, in steps of a few milliseconds between
 * commits. Delivered goes before undelivered, and that only by policy. Throws CannotStart when a
 * bound cannot be kept on this disk.
 */
export function createRetention(
  outbox: Outbox,
  settings: Settings,
  { ages = createGroupAges(outbox), readAheadMaxEvents = AHEAD_EVENTS }: RetentionOptions = {},
) {
  const { pruning, space, ballast, deadLetterBytes } = outbox
  const { bounds } = settings
  refuseImpossible(settings, space.measure())
  const letGo = createDeletion({ pruning, ages, settings })
  const events = startEventCount(outbox)
  const report = createSpaceReport({ space, letGo, bounds, storedBytes: events.bytes })
  let delivered: InboxState = { pendingRanges: null, replayFrom: null, nextNote: 1 }
  let isLookDue = false
  let refusalReason = ballast.write() ? null : DISK_FULL
  const gauge = startGauge(outbox, bounds, letGo, events)
  const judge = (room = space.measure()) =>
    gauge.judge(room, delivered.pendingRanges, refusalReason !== null)
  const { thinner } = outbox
  const policyOf = createLanePolicies(settings).of
  const thinning = createThinning({ pruning, thinner, policyOf, aheadEvents: readAheadMaxEvents })
  const steps = createReclaimSteps(
    { space, ballast, letterBytes: deadLetterBytes, letGo, thinning },
    settings,
  )

  return {
    /** Why nothing is accepted now, as of the last look; null when it is. */
    get refusalReason() {
      return refusalReason
    },
    /** To be called every second: what the inbox says, and how far the clock is trusted. */
    update(now: InboxState, clock: ClockState): void {
      delivered = now
      deadLetterBytes.advanceTo(isUnknown(now) ? null : now.nextNote)
      ages.recordProgress(clock, outbox.lastSequence)
    },
    /** The next steps also let go what is beyond the tail. */
    requestPruning(): void {
      isLookDue = true
    },
    /** Frees room for deleting: a commit found the disk full. */
    onDiskFull(): void {
      ballast.free()
      refusalReason = DISK_FULL
    },
    /** Makes room for a commit at a bound; gives why the commit must be refused, or null. */
    admit(): string | null {
      if (!ballast.isPresent) return DISK_FULL
      if (refusalReason === null && gauge.isFarStill()) return null
      let reached = judge()
      for (let count = 0; reached && count < STEPS_BEFORE_COMMIT; count++) {
        if (!steps.relieve(reached, delivered)) break
        reached = judge()
      }
      refusalReason = steps.isThinning ? null : steps.reasonToRefuse(reached, delivered)
      return refusalReason
    },
    /** Makes one step, if there is something to do; true when there may be more. */
    step(): boolean {
      if (!ballast.isPresent) {
        const didHelp = steps.recover(delivered)
        refusalReason = ballast.isPresent ? steps.reasonToRefuse(judge(), delivered) : DISK_FULL
        return didHelp
      }
      const room = space.measure()
      const reached = judge(room)
      if (steps.boundDeadLetters() || (reached && steps.relieve(reached, delivered))) return true
      refusalReason = steps.reasonToRefuse(reached, delivered)
      if (!reached && gauge.isNearlyFull && steps.thinAhead(delivered)) return true
      if (isLookDue && steps.attempt(() => letGo.pruneExpired(delivered))) return true
      if (steps.giveBack(room, isLookDue)) return true
      isLookDue = false
      return false
    },
    /** How much is taken, and when it will be full at this rate. */
    space: (backlog: Backlog): OutboxSpace => ({
      ...report(backlog, delivered.pendingRanges),
      refuses: refusalReason,
    }),
  }
}

/** Holds what is stored against the bounds; seldom while all of them are far. */
function startGauge(
  outbox: Pick<Outbox, 'bytesSoFar' | 'lastSequence'>,
  bounds: Settings['bounds'],
  letGo: Pick<Deletion, 'isLate'>,
  events: (bound: number) => number,
) {
  const mostEvents = bounds.events ?? Number.POSITIVE_INFINITY
  let measured = { atMs: Number.NEGATIVE_INFINITY, bytesSoFar: 0, lastSequence: 0 }
  const { least, most } = MEASURE_EVERY_BYTES
  const share = Math.min(bounds.bytes, bounds.freeDiskBytes) * MEASURE_EVERY_SHARE
  const everyBytes = Math.max(least, Math.min(most, share))
  let near: ReachedBound | null = null
  return {
    /** Which bound is reached; when one `was` reached, it must be undercut clearly. */
    judge(room: DiskSpace, spans: SequenceRange[] | null, was: boolean): ReachedBound | null {
      const usage = {
        usedBytes: room.fileBytes - room.freeBytes,
        events: bounds.events === null ? 0 : events(mostEvents),
        freeBytes: room.freeDiskBytes + room.freeBytes,
        isLate: letGo.isLate(spans),
      }
      near = findReachedBound(usage, bounds, true)
      const { bytesSoFar, lastSequence } = outbox
      measured = { atMs: performance.now(), bytesSoFar, lastSequence }
      return near ? findReachedBound(usage, bounds, was) : null
    },
    /** Whether all bounds were far when it was judged, and cannot have been reached since. */
    isFarStill: () =>
      near === null &&
      performance.now() - measured.atMs < MEASURE_EVERY_MS &&
      outbox.bytesSoFar - measured.bytesSoFar < everyBytes &&
      outbox.lastSequence - measured.lastSequence < mostEvents * MEASURE_EVERY_SHARE,
    /** Whether a bound is reached, or nearly, that is one of room and not of time. */
    get isNearlyFull() {
      return near !== null && near.key !== 'hours'
    },
  }
}

/** How many events are stored: by the first and last number, less the holes between them. */
function startEventCount({ pruning }: Pick<Outbox, 'pruning'>) {
  const { stored } = pruning
  let holes: { from: number; count: number }[] | null = null
  const count = (bound: number): number => {
    const newest = stored.newest()
    const first = stored.first()
    if (!newest || first === null) return 0
    const span = newest.sequence - first + 1
    // Finding holes is not for free, and none is made while this runs: once, if it matters.
    if (span < bound * 0.9) return span
    holes ??= pruning.gaps()
    const left = span - stored.removed(first, newest.sequence).events
    return holes.reduce((events, { from, count }) => events - (from > first ? count : 0), left)
  }
  const bytes = () =>
    stored.bytesBefore((stored.newest()?.sequence ?? 0) + 1) - stored.bytesBefore(0)
  return Object.assign(count, { bytes })
}

function refuseImpossible({ file, bounds }: Settings, { diskBytes }: DiskSpace): void {
  if (bounds.freeDiskBytes < diskBytes || diskBytes === 0) return
  throw new CannotStart(
    `outbox.bounds.freeDiskBytes = ${bounds.freeDiskBytes}: the disk of ${file} has only ` +
      `${diskBytes} bytes. Choose less. Nothing was deleted`,
  )
}
