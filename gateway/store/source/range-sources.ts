import { kindOf } from '../delivery/range-kind.ts'
import { startChooser } from '../delivery/zone-filter.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { startReplaceable } from '../read/reopening-reader.ts'
import type { Ranges } from './active-ranges.ts'
import { type TakeLimits, type Taken, takeFrom } from './batch-reader.ts'
import { startReadAhead } from './read-ahead.ts'

/**
 * Where each carrier takes from: whole groups, oldest first; taking does not remove them. To read
 * ahead, while what was taken is under way, makes taking what is behind it quick.
 */
export function sourcesOf(
  ranges: Ranges,
  outbox: ReturnType<typeof startReplaceable>,
  { addNotes, took }: Inbox,
) {
  const { move } = ranges
  const chosenBy = startChooser()
  type Ahead = ReturnType<typeof startReadAhead>
  const takeOf = (some: Range[], limits: TakeLimits, ahead: Ahead): Taken | null =>
    outbox.reading(null, from => {
      for (const range of some) {
        const taken = takeFrom(ahead.over(from), { move, addNotes, chosenBy }, range, limits)
        took(range.store, { sequence: Math.max(range.next, taken?.next ?? 0) - 1 })
        if (taken) return taken
        // What is behind another waits for it, though that may not be readable for a moment.
        if (kindOf(range) !== 'replay') break
      }
      return null
    })
  /** Moves the range on behind what Kafka has; durable within a second or at close. */
  const settle = ({ range, next }: Taken) => move(range, next)
  const sourceOf = (some: () => Range[], last = () => Number.MAX_SAFE_INTEGER) => {
    const ahead = startReadAhead()
    return {
      take: (limits: TakeLimits) => takeOf(some(), { ...limits, last: last() }, ahead),
      readAhead: ({ next }: Taken, limits: TakeLimits) =>
        outbox.reading(undefined, from => ahead.read(from, next, limits)),
      settle,
    }
  }
  return {
    /** What goes to the readings. */
    ...sourceOf(() => ranges.live),
    /** What goes behind live data. */
    behind: {
      ...sourceOf(() => ranges.behind),
      /** Another topic is configured now: what was meant for one before goes there, too. */
      turn: ranges.turnBehind,
    },
    /** A range apart, which never goes further than the live one. */
    apart: (id: number) =>
      sourceOf(
        () => ranges.apart.filter(one => one.id === id),
        () => (ranges.open?.next ?? 1) - 1,
      ),
  }
}
