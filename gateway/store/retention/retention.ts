import { performance } from 'node:perf_hooks'
import type { Config } from '../../../config/config.ts'
import type { ClockState } from '../../../config/event/sensor-reading.ts'
import type { Backlog, OutboxSpace } from '../../../config/process/gateway-state.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { type InboxState, isUnknown } from '../delivery/inbox-reader.ts'
import { BALLAST_NEEDS_BYTES, DISK_FULL } from '../file/ballast.ts'
import type { DiskSpace } from '../file/disk-space.ts'
import { createLanePolicies } from '../groups/lanes.ts'
import type { Outbox } from '../outbox.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import { findReachedBound, type ReachedBound, releasedAtFreeBytes } from './bounds.ts'
import { createDeletion, type Deletion } from './delivered-pruning.ts'
import { createSpaceReport } from './forecast.ts'
import { createGroupAges, type GroupAges } from './group-age.ts'
import { createReclaimSteps } from './reclaim-steps.ts'
import { createThinning } from './thinning.ts'

type Settings = Pick<Config['outbox'], 'file' | 'keep' | 'bounds' | 'whenFull' | 'lanes'>

/**
 * While usage is far below all bounds, it is measured again after this time, or after this many
 * stored bytes.
 */
const MEASURE_EVERY_MS = 50
const MEASURE_EVERY_BYTES = { min: 64 * 1024, max: 1024 * 1024 }
/**
 * Usage is also measured again when bytes or events have grown by this share of their bound. The
 * share is far smaller than the distance at which a bound counts as near, so no bound is reached
 * between two measurements.
 */
const MEASURE_EVERY_SHARE = 0.01
/**
 * How many steps a commit waits for at most. When these steps did not make enough space, the commit
 * is refused, unless thinning is running.
 */
const STEPS_BEFORE_COMMIT = 8

const READ_AHEAD_MAX_EVENTS = 2000

export type RetentionOptions = {
  ages?: GroupAges
  /** How many undelivered events the bridge may have read already. */
  readAheadMaxEvents?: number | undefined
}

export type Retention = ReturnType<typeof createRetention>

/**
 * Keeps an outbox within its bounds and returns space to the disk, in steps of a few milliseconds
 * between commits. Deletes delivered events first, and undelivered events only if the policy of
 * their lane (`whenFull`) allows it. Throws CannotStart when a bound cannot be kept on this disk.
 */
export function createRetention(
  outbox: Outbox,
  settings: Settings,
  { ages = createGroupAges(outbox), readAheadMaxEvents }: RetentionOptions = {},
) {
  const { pruning, space, ballast, deadLetterBytes, thinner } = outbox
  const { bounds } = settings
  refuseImpossibleBound(settings, space.measure())
  const deletion = createDeletion({ pruning, ages, settings })
  const counts = createStoredCounts(outbox)
  const report = createSpaceReport({ space, deletion, bounds, storedBytes: counts.bytes })
  let inbox: InboxState = { pendingRanges: null, replayFrom: null, nextNote: 1 }
  let isPruning = false
  let refusalReason = ballast.write() ? null : ballast.fault
  const gauge = createUsageGauge(outbox, bounds, deletion, counts.events)
  const checkBounds = (disk = space.measure()) =>
    gauge.check(disk, inbox.pendingRanges, refusalReason !== null)
  const thinning = createThinning({
    pruning,
    thinner,
    policyOf: createLanePolicies(settings).of,
    readAheadMaxEvents: readAheadMaxEvents ?? READ_AHEAD_MAX_EVENTS,
  })
  const steps = createReclaimSteps(
    { space, ballast, deadLetterBytes, deletion, thinning },
    settings,
  )

  return {
    /** Why messages are refused, as of the last check; null while they are accepted. */
    get refusalReason() {
      return refusalReason
    },
    /** The fields of `space` about a refusal, as of now. */
    refusal: () => describeRefusal(outbox, bounds, refusalReason, gauge.nearKey),
    /** To be called every second with the state of the inbox and of the clock. */
    update(state: InboxState, clock: ClockState): void {
      inbox = state
      deadLetterBytes.advanceTo(isUnknown(inbox) ? null : inbox.nextNote)
      ages.recordProgress(clock, outbox.lastSequence)
    },
    /** Makes the next steps also prune delivered events that exceed `outbox.keep`. */
    requestPruning(): void {
      isPruning = true
    },
    /**
     * To be called when a commit failed because the disk is full. Removes the ballast, so that
     * deletions have space.
     */
    onDiskFull(): void {
      ballast.free()
      refusalReason = DISK_FULL
    },
    /**
     * Makes space for a commit when a bound is reached. Returns the reason why the commit must be
     * refused, or null.
     */
    admit(): string | null {
      if (!ballast.isPresent) return ballast.fault
      if (refusalReason === null && gauge.isStillFar()) return null
      let reached = checkBounds()
      for (let count = 0; reached && count < STEPS_BEFORE_COMMIT; count++) {
        if (!steps.makeRoom(reached, inbox)) break
        reached = checkBounds()
      }
      refusalReason = steps.isThinning ? null : steps.reasonToRefuse(reached, inbox)
      return refusalReason
    },
    /**
     * Does one step, if there is something to do; returns true when there may be another step to
     * do.
     */
    step(): boolean {
      if (!ballast.isPresent) {
        const hasProgress = steps.restoreBallast(inbox)
        refusalReason = ballast.isPresent
          ? steps.reasonToRefuse(checkBounds(), inbox)
          : ballast.fault
        return hasProgress
      }
      const disk = space.measure()
      const reached = checkBounds(disk)
      if (steps.boundDeadLetters() || (reached && steps.makeRoom(reached, inbox))) return true
      refusalReason = steps.reasonToRefuse(reached, inbox)
      if (!reached && gauge.isNearlyFull && steps.thinAhead(inbox)) return true
      if (isPruning && steps.attempt(() => deletion.pruneExpired(inbox))) return true
      if (steps.returnSpace(disk, isPruning)) return true
      isPruning = false
      return false
    },
    /**
     * Reports the space in use, and when the outbox will be full if the backlog grows as before.
     */
    space: (backlog: Backlog): OutboxSpace => ({
      ...report(backlog, inbox.pendingRanges),
      ...describeRefusal(outbox, bounds, refusalReason, gauge.nearKey),
    }),
  }
}

/** Compares usage with the bounds. Measures usage rarely while it is far below all bounds. */
function createUsageGauge(
  outbox: Pick<Outbox, 'bytesSoFar' | 'lastSequence'>,
  bounds: Settings['bounds'],
  deletion: Pick<Deletion, 'isLate'>,
  countEvents: (bound: number) => number,
) {
  const maxEvents = bounds.events ?? Number.POSITIVE_INFINITY
  let measured = { atMs: Number.NEGATIVE_INFINITY, bytesSoFar: 0, lastSequence: 0 }
  const { min, max } = MEASURE_EVERY_BYTES
  const shareBytes = Math.min(bounds.bytes, bounds.freeDiskBytes) * MEASURE_EVERY_SHARE
  const everyBytes = Math.max(min, Math.min(max, shareBytes))
  let near: ReachedBound | null = null
  return {
    /** Returns the bound that is reached, or null; `wasReached` is passed to findReachedBound. */
    check(
      disk: DiskSpace,
      pendingRanges: SequenceRange[] | null,
      wasReached: boolean,
    ): ReachedBound | null {
      const usage = {
        usedBytes: disk.fileBytes - disk.freeBytes,
        events: bounds.events === null ? 0 : countEvents(maxEvents),
        freeBytes: disk.freeDiskBytes + disk.freeBytes,
        isLate: deletion.isLate(pendingRanges),
      }
      near = findReachedBound(usage, bounds, true)
      const { bytesSoFar, lastSequence } = outbox
      measured = { atMs: performance.now(), bytesSoFar, lastSequence }
      return near ? findReachedBound(usage, bounds, wasReached) : null
    },
    /**
     * Whether usage was far below all bounds at the last check, and cannot have reached a bound
     * since.
     */
    isStillFar: () =>
      near === null &&
      performance.now() - measured.atMs < MEASURE_EVERY_MS &&
      outbox.bytesSoFar - measured.bytesSoFar < everyBytes &&
      outbox.lastSequence - measured.lastSequence < maxEvents * MEASURE_EVERY_SHARE,
    /** Whether a bound of space or events (not of time) is reached or nearly reached. */
    get isNearlyFull() {
      return near !== null && near.key !== 'hours'
    },
    /** The bound that is reached or nearly reached. While messages are refused, their bound. */
    get nearKey() {
      return near?.key ?? null
    },
  }
}

/** The fields of `space` about a refusal: with the free space when space of the disk is missing. */
function describeRefusal(
  { ballast, space }: Pick<Outbox, 'ballast' | 'space'>,
  bounds: Settings['bounds'],
  refuses: string | null,
  nearKey: ReachedBound['key'] | null,
): Pick<OutboxSpace, 'refuses' | 'acceptsAtFreeBytes'> & { freeDiskBytes?: number } {
  const lacksBallast = !ballast.isPresent && ballast.fault === DISK_FULL
  const isAtBound = ballast.isPresent && refuses !== null && nearKey === 'freeDiskBytes'
  if (!lacksBallast && !isAtBound) return { refuses, acceptsAtFreeBytes: null }
  const acceptsAtFreeBytes = lacksBallast ? BALLAST_NEEDS_BYTES : releasedAtFreeBytes(bounds)
  return { refuses, acceptsAtFreeBytes, freeDiskBytes: space.measure().freeDiskBytes }
}

/** Counts the stored events and bytes. */
function createStoredCounts({ pruning }: Pick<Outbox, 'pruning'>) {
  const { stored } = pruning
  let gaps: { from: number; count: number }[] | null = null
  return {
    /**
     * Counts the stored events: the numbers from the first to the last stored sequence, without
     * gaps. The count is exact near `bound`. Far below `bound` it may be too high, because gaps are
     * not subtracted.
     */
    events(bound: number): number {
      const newest = stored.newest()
      const first = stored.first()
      if (!newest || first === null) return 0
      const numbers = newest.sequence - first + 1
      // The search for gaps reads every group. It is done only once, because no new gap appears
      // while the gateway runs.
      if (numbers < bound * 0.9) return numbers
      gaps ??= pruning.gaps()
      const remaining = numbers - stored.removed(first, newest.sequence).events
      return gaps.reduce((sum, { from, count }) => sum - (from > first ? count : 0), remaining)
    },
    /** Bytes of all stored groups. */
    bytes: () => stored.bytesBefore((stored.newest()?.sequence ?? 0) + 1) - stored.bytesBefore(0),
  }
}

function refuseImpossibleBound({ file, bounds }: Settings, { diskBytes }: DiskSpace): void {
  if (bounds.freeDiskBytes < diskBytes || diskBytes === 0) return
  throw new CannotStart(
    `outbox.bounds.freeDiskBytes = ${bounds.freeDiskBytes}, but the disk of ${file} has ` +
      `${diskBytes} bytes in total, so this bound would always be reached. Choose less than ` +
      `${diskBytes}. The gateway did not start and deleted nothing`,
  )
}
