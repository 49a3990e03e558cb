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

/** Why something is thinned before a bound is reached. */
const NEARLY_FULL = 'a bound of the outbox is nearly reached'

type Parts = {
  space: ReturnType<typeof createSpaceControl>
  ballast: Ballast
  letterBytes: Pick<DeadLetterBound, 'dropPayloads'>
  letGo: Deletion
  thinning: Thinning
}

/** The steps that make room, none of which fails because the disk is full. */
export function createReclaimSteps(
  { space, ballast, letterBytes, letGo, thinning }: Parts,
  settings: Pick<Config['outbox'], 'bounds' | 'lanes' | 'whenFull'>,
) {
  const { bounds } = settings
  const policies = createLanePolicies(settings)
  const mayDrop = policies.has('drop-oldest') || policies.has('thin')
  const mayThin = policies.has('thin')
  let [isShorter, isThinning] = [false, false]
  const attempt = (work: () => boolean): boolean => {
    try {
      return work()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return ballast.free()
    }
  }
  const makeRoom = (reached: ReachedBound, delivered: InboxState) =>
    attempt(() => {
      isThinning = false
      // Nothing has waited less long because something delivered is gone, or something is thinned.
      if (reached.key !== 'hours') {
        if (letGo.pruneKept(delivered, reached)) return true
        isThinning = mayThin && thinning.step(delivered.pendingRanges, reached.reason)
        if (isThinning) return true
      }
      return mayDrop && letGo.dropOldest(delivered, reached)
    })
  const shorten = () => {
    isShorter = false
    return attempt(() => {
      space.truncateWal()
      return false
    })
  }
  return {
    attempt,
    relieve: makeRoom,
    /** What nobody can read goes before readings do. */
    boundDeadLetters: () => attempt(() => letterBytes.dropPayloads(bounds.deadLetterBytes)),
    /**
     * Whether the last step to make room was one of thinning: there will be some, because each step
     * reads more than a commit brings.
     */
    get isThinning() {
      return isThinning
    },
    /** Thins what is not delivered when a bound is near, so that none has to wait for it later. */
    thinAhead: ({ pendingRanges }: InboxState): boolean =>
      mayThin &&
      !letGo.hasKeptEvents(pendingRanges) &&
      attempt(() => thinning.step(pendingRanges, NEARLY_FULL)),
    /** Null while there is room, or will be as soon as something newer is there to make it. */
    reasonToRefuse(reached: ReachedBound | null, { pendingRanges }: InboxState): string | null {
      const isForNewer = reached?.key === 'hours' && letGo.canDropLate(pendingRanges)
      return reached && !isForNewer ? reached.reason : null
    },
    /** Gives free pages and the WAL back to the disk; the file gets shorter by its checkpoint. */
    giveBack(room: DiskSpace, isLookDue: boolean): boolean {
      const isPressed = room.freeDiskBytes < bounds.freeDiskBytes && space.hasFreePages(room)
      if (isPressed || (isLookDue && space.hasExcessFreePages(room))) {
        isShorter = true
        return attempt(() => space.vacuum())
      }
      if (isShorter || space.hasLongWal(room)) shorten()
      return false
    },
    /** On a full disk: makes room until the ballast fits again. */
    recover(delivered: InboxState): boolean {
      if (ballast.write()) return true
      shorten()
      if (space.measure().freeBytes > 0 && attempt(() => space.vacuum(true))) {
        shorten()
        return true
      }
      const any = { bytes: Number.POSITIVE_INFINITY, events: Number.POSITIVE_INFINITY }
      return makeRoom({ key: 'freeDiskBytes', reason: DISK_FULL, ...any }, delivered)
    },
  }
}
