import type { Config } from '../../../config/config.ts'
import type { InboxState } from '../delivery/inbox-reader.ts'
import { type Ballast, isDiskFull } from '../file/ballast.ts'
import type { createSpaceControl, DiskSpace } from '../file/disk-space.ts'
import { createLanePolicies } from '../groups/lanes.ts'
import type { DeadLetterBound } from '../notes/dead-letter-bound.ts'
import type { ReachedBound } from './bounds.ts'
import type { Deletion } from './delivered-pruning.ts'
import type { Thinning } from './thinning.ts'

export const DISK_FULL = 'the disk is full'

/** The reason in a tombstone of events that were thinned before a bound is reached. */
const NEARLY_FULL = 'a bound of the outbox is nearly reached'

type Parts = {
  space: ReturnType<typeof createSpaceControl>
  ballast: Ballast
  deadLetterBytes: Pick<DeadLetterBound, 'dropPayloads'>
  deletion: Deletion
  thinning: Thinning
}

/**
 * The steps that make room. Each returns whether it did anything; a full disk does not make a step
 * fail, because the ballast gives it room.
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
    /** Deletes payloads of dead letters above their bound; this comes before events are deleted. */
    boundDeadLetters: () => attempt(() => deadLetterBytes.dropPayloads(bounds.deadLetterBytes)),
    /**
     * Whether the last step of makeRoom was thinning. Then there will be room without a refusal,
     * because each step of thinning reads more events than a commit adds.
     */
    get isThinning() {
      return isThinning
    },
    /** Thins undelivered events when a bound is near, so that no commit has to wait for it. */
    thinAhead: ({ pendingRanges }: InboxState): boolean =>
      mayThin &&
      !deletion.hasKeptEvents(pendingRanges) &&
      attempt(() => thinning.step(pendingRanges, NEARLY_FULL)),
    /**
     * Why messages are refused at this bound. Null while there is room, and while the oldest events
     * are too old and may be dropped: newer events may be stored in their place.
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
    /** On a full disk: makes room until the ballast can be written again. */
    restoreBallast(inbox: InboxState): boolean {
      if (ballast.write()) return true
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
