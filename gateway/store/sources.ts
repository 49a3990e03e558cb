import type { Inbox, Range } from './inbox.ts'
import { startChooser } from './range-zones.ts'
import type { Ranges } from './ranges.ts'
import { kindOf } from './reasons.ts'
import type { startReplaceable } from './replaceable.ts'
import { type TakeLimits, type Taken, takeFrom } from './take.ts'

/** Where each carrier takes from: whole groups, oldest first; taking does not remove them. */
export function sourcesOf(
  ranges: Ranges,
  outbox: ReturnType<typeof startReplaceable>,
  { addNotes, took }: Inbox,
) {
  const { move } = ranges
  const chosenBy = startChooser()
  const takeOf = (some: Range[], limits: TakeLimits): Taken | null =>
    outbox.reading(null, from => {
      for (const range of some) {
        const taken = takeFrom(from, { move, addNotes, chosenBy }, range, limits)
        took(range.store, { sequence: Math.max(range.next, taken?.next ?? 0) - 1 })
        if (taken) return taken
        // What is stored behind a spread waits until all before it is delivered.
        if (kindOf(range) === 'live') break
      }
      return null
    })
  /** Moves the range on behind what Kafka has; durable within a second or at close. */
  const settle = ({ range, next }: Taken) => move(range, next)
  return {
    /** What goes to the readings. */
    take: (limits: TakeLimits) => takeOf(ranges.live, limits),
    settle,
    /** What goes behind live data. */
    behind: {
      take: (limits: TakeLimits) => takeOf(ranges.behind, limits),
      settle,
      /** Another topic is configured now: what was meant for one before goes there, too. */
      turn: ranges.turnBehind,
    },
    /** A range apart, which never goes further than the live one. */
    apart: (id: number) => ({
      take: (limits: TakeLimits) => {
        const range = ranges.apart.find(one => one.id === id)
        const last = (ranges.open?.next ?? 1) - 1
        return range ? takeOf([range], { ...limits, last }) : null
      },
      settle,
    }),
  }
}
