import type { Config } from '../../config/config.ts'
import { type Ballast, isDiskFull } from './ballast.ts'
import type { Reached } from './bounds.ts'
import { startPolicies } from './lanes.ts'
import type { LetGo } from './let-go.ts'
import type { Delivered } from './range-reader.ts'
import type { openSpace, Room } from './space.ts'

export const DISK_FULL = 'the disk is full'

type Parts = { space: ReturnType<typeof openSpace>; ballast: Ballast; letGo: LetGo }

/** The steps that make room, none of which fails because the disk is full. */
export function startSteps(
  { space, ballast, letGo }: Parts,
  settings: Pick<Config['outbox'], 'bounds' | 'lanes' | 'whenFull'>,
) {
  const { bounds } = settings
  const policies = startPolicies(settings)
  const mayDrop = policies.has('drop-oldest') || policies.has('thin')
  let isShorter = false
  const attempt = (work: () => boolean): boolean => {
    try {
      return work()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return ballast.free()
    }
  }
  const relieve = (reached: Reached, delivered: Delivered) =>
    attempt(() => {
      // Nothing has waited less long because something delivered is gone.
      if (reached.key !== 'hours' && letGo.tail(delivered, reached)) return true
      return mayDrop && letGo.oldest(delivered, reached)
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
    relieve,
    /** Null while there is room, or will be as soon as something newer is there to make it. */
    reasonToRefuse(reached: Reached | null, { spans }: Delivered): string | null {
      const isForNewer = reached?.key === 'hours' && letGo.isForNewer(spans)
      return reached && !isForNewer ? reached.reason : null
    },
    /** Gives free pages and the WAL back to the disk; the file gets shorter by its checkpoint. */
    giveBack(room: Room, isLookDue: boolean): boolean {
      const isPressed = room.freeDiskBytes < bounds.freeDiskBytes && space.hasSome(room)
      if (isPressed || (isLookDue && space.hasSpare(room))) {
        isShorter = true
        return attempt(() => space.vacuum())
      }
      if (isShorter || space.hasLongWal(room)) shorten()
      return false
    },
    /** On a full disk: makes room until the ballast fits again. */
    recover(delivered: Delivered): boolean {
      if (ballast.write()) return true
      shorten()
      if (space.measure().freeBytes > 0 && attempt(() => space.vacuum(true))) {
        shorten()
        return true
      }
      const any = { bytes: Number.POSITIVE_INFINITY, events: Number.POSITIVE_INFINITY }
      return relieve({ key: 'freeDiskBytes', reason: DISK_FULL, ...any }, delivered)
    },
  }
}
