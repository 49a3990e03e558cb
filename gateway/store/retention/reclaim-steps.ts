import type { Config } from '../../../config/config.ts'
import type { InboxState } from '../delivery/inbox-reader.ts'
import { type Ballast, DISK_FULL, isDiskFull } from '../file/ballast.ts'
import type { createSpaceControl, DiskSpace } from '../file/disk-space.ts'
import { createLanePolicies } from '../groups/lanes.ts'
import type { DeadLetterBound } from '../notes/dead-letter-bound.ts'
import type { ReachedBound } from './bounds.ts'
import type { Deletion } from './delivered-pruning.ts'
import type { Thinning } from './thinning.ts'

/** The reason in the tombstones of events that were thinned before a bound was reached. */
const NEARLY_FULL = 'a bound of the outbox is nearly reached'

type Parts = {
  space: ReturnType<typeof createSpaceControl>
  ballast: Ballast
  deadLetterBytes: Pick<DeadLetterBound, 'dropPayloads'>
  deletion: Deletion
  thinning: Thinning
}

/**
 * Creates the steps that make space in the outbox. Each step returns whether it did anything. When
 * a step fails because the disk is full, it removes the ballast and does not throw.
 */
export function createReclaimSteps(
  { space, ballast, deadLetterBytes, deletion, thinning }: Parts,
  settings: Pick<Config['outbox'], 'bounds' | 'lanes' | 'whenFull'>,
) {
  const { bounds } = settings
  const policies = createLanePolicies(settings)
  const mayDrop = policies.has('drop-oldest') || policies.has('thin')
  const mayThin = policies.has('thin')
  let needsTruncate = false
  let isThinning = false
  const attempt = (work: () => boolean): boolean => {
    try {
      return work()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return ballast.free()
    }
  }
  const makeRoom = (reached: ReachedBound, inbox: InboxState) =>
    attempt(() => {
      isThinning = false
      // Neither pruning delivered events nor thinning makes the oldest undelivered event younger.
      if (reached.key !== 'hours') {
        if (deletion.pruneKept(inbox, reached)) return true
        isThinning = mayThin && thinning.step(inbox.pendingRanges, reached.reason)
        if (isThinning) return true
      }
      return mayDrop && deletion.dropOldest(inbox, reached)
    })
  const truncateWal = () => {
    needsTruncate = false
    return attempt(() => {
      space.truncateWal()
      return false
    })
  }
  return {
    attempt,
    makeRoom,
    /**
     * Deletes payloads of dead letters that exceed `deadLetterBytes`. Runs before events are
     * deleted.
     */
    boundDeadLetters: () => attempt(() => deadLetterBytes.dropPayloads(bounds.deadLetterBytes)),
    /**
     * Whether the last step of makeRoom was thinning. If so, no commit needs to be refused, because
     * each step of thinning reads more events than a commit adds, and will therefore make space in
     * time.
     */
    get isThinning() {
      return isThinning
    },
    /**
     * Thins undelivered events when a bound is nearly reached, so that no commit has to wait for
     * thinning.
     */
    thinAhead: ({ pendingRanges }: InboxState): boolean =>
      mayThin &&
      !deletion.hasKeptEvents(pendingRanges) &&
      attempt(() => thinning.step(pendingRanges, NEARLY_FULL)),
    /**
     * Returns the reason why messages are refused at this bound. Returns null while no bound is
     * reached, and while the oldest events are older than `bounds.hours` and may be dropped,
     * because newer events may then be stored in their place.
     */
    reasonToRefuse(reached: ReachedBound | null, { pendingRanges }: InboxState): string | null {
      const canReplace = reached?.key === 'hours' && deletion.canDropLate(pendingRanges)
      return reached && !canReplace ? reached.reason : null
    },
    /**
     * Returns free pages and the WAL to the disk. A vacuum shortens the file only at the checkpoint
     * that truncates the WAL.
     */
    returnSpace(disk: DiskSpace, isPruning: boolean): boolean {
      const isDiskShort = disk.freeDiskBytes < bounds.freeDiskBytes && space.hasFreePages(disk)
      if (isDiskShort || (isPruning && space.hasExcessFreePages(disk))) {
        needsTruncate = true
        return attempt(() => space.vacuum())
      }
      if (needsTruncate || space.hasLongWal(disk)) truncateWal()
      return false
    },
    /**
     * After the disk was full: does one step that makes space, until the ballast can be written
     * again.
     */
    restoreBallast(inbox: InboxState): boolean {
      if (ballast.write()) return true
      if (ballast.fault !== DISK_FULL) return false
      truncateWal()
      if (space.measure().freeBytes > 0 && attempt(() => space.vacuum(true))) {
        truncateWal()
        return true
      }
      const all = { bytes: Number.POSITIVE_INFINITY, events: Number.POSITIVE_INFINITY }
      return makeRoom({ key: 'freeDiskBytes', reason: DISK_FULL, ...all }, inbox)
    },
  }
}
