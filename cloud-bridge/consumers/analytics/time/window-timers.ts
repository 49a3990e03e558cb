import { keysWithPrefix, partsOf, timeOfKeyPart } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import type { Calendars } from '../model/calendar.ts'
import { type DeviceName, timerKey } from '../model/series.ts'
import type { Bounds } from '../model/window.ts'
import { type WindowSize, windowLengthMs } from '../model/window-sizes.ts'

/** A timer for the windows of a device with one size and start, to be published after their end. */
export type WindowTimer = Bounds & { key: string; name: DeviceName; size: WindowSize }

/** The timers of all windows that are not published yet. Each timer has a row in the state. */
export class WindowTimers {
  readonly #byEnd = new Map<number, Map<string, WindowTimer>>()
  readonly #changes = new Map<string, Buffer | null>()
  readonly #publishedSizes: ReadonlySet<WindowSize>

  private constructor(publishedSizes: ReadonlySet<WindowSize>) {
    this.#publishedSizes = publishedSizes
  }

  /** Reads the timers of a state. `add` ignores windows of other sizes than `publishedSizes`. */
  static async read(
    state: Pick<PartitionState, 'range'>,
    publishedSizes: Iterable<WindowSize>,
    calendars: Calendars,
  ): Promise<WindowTimers> {
    const timers = new WindowTimers(new Set(publishedSizes))
    for (const { key } of await state.range(keysWithPrefix('due'))) {
      const [, endPart, size, site, zone, device] = partsOf(key) as [
        ...[string, string, WindowSize],
        ...string[],
      ]
      const name = { site: site!, zone: zone!, device: device! }
      const end = timeOfKeyPart(endPart)
      const start = calendars.of(site!).startOf(windowLengthMs(size), end - 1)
      timers.#put({ key, name, size, start, end })
    }
    return timers
  }

  /** Adds the timer of a window that is not published yet. */
  add(name: DeviceName, size: WindowSize, { start, end }: Bounds): void {
    if (!this.#publishedSizes.has(size)) return
    const key = timerKey(name, size, end)
    if (this.#put({ key, name, size, start, end })) this.#changes.set(key, EMPTY)
  }

  has(name: DeviceName, size: WindowSize, end: number): boolean {
    return this.#byEnd.get(end)?.has(timerKey(name, size, end)) ?? false
  }

  /**
   * Returns at most `limit` timers of windows that end at `moment` or before. Removes none of them.
   */
  expiredAt(moment: number, limit: number): WindowTimer[] {
    const expired: WindowTimer[] = []
    for (const [end, timers] of this.#byEnd) {
      if (end > moment) continue
      for (const timer of timers.values()) {
        if (expired.length === limit) return expired
        expired.push(timer)
      }
    }
    return expired
  }

  remove(timer: WindowTimer): void {
    const { end } = timer
    const timers = this.#byEnd.get(end)
    timers?.delete(timer.key)
    if (timers?.size === 0) this.#byEnd.delete(end)
    this.#changes.set(timer.key, null)
  }

  /** Returns all row changes since the last call, and forgets the changes. */
  drainChanges(): Map<string, Buffer | null> {
    const changes = new Map(this.#changes)
    this.#changes.clear()
    return changes
  }

  /** Adds a timer. Returns false when the timer exists already. */
  #put(timer: WindowTimer): boolean {
    const { end } = timer
    const timers = this.#byEnd.get(end) ?? new Map<string, WindowTimer>()
    this.#byEnd.set(end, timers)
    if (timers.has(timer.key)) return false
    timers.set(timer.key, timer)
    return true
  }
}

const EMPTY = Buffer.alloc(0)
