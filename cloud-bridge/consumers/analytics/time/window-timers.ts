import { keysWithPrefix, partsOf, timeOfKeyPart } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import { type DeviceName, timerKey, type WindowSize, windowSizesMs } from '../model/series.ts'

/** The windows of a device that are to be told when their time is over. */
export type WindowTimer = { key: string; name: DeviceName; size: WindowSize; start: number }

/** Which windows are yet to be told, by when they end; part of the state. */
export class WindowTimers {
  readonly #byEnd = new Map<number, Map<string, WindowTimer>>()
  readonly #changed = new Map<string, Buffer | null>()
  readonly #sizes: ReadonlySet<WindowSize>

  private constructor(sizes: ReadonlySet<WindowSize>) {
    this.#sizes = sizes
  }

  /** As a state has them; from now on those of these sizes are added. */
  static async read(
    state: Pick<PartitionState, 'range'>,
    published: Iterable<WindowSize>,
  ): Promise<WindowTimers> {
    const due = new WindowTimers(new Set(published))
    for (const { key } of await state.range(keysWithPrefix('due'))) {
      const [, end, size, site, zone, device] = partsOf(key) as [string, string, WindowSize] &
        string[]
      const name = { site: site!, zone: zone!, device: device! }
      due.#put({ key, name, size, start: timeOfKeyPart(end) - windowSizesMs[size] })
    }
    return due
  }

  /** A device has a window that was not told. */
  add(name: DeviceName, size: WindowSize, start: number): void {
    if (!this.#sizes.has(size)) return
    const key = timerKey(name, size, start)
    if (this.#put({ key, name, size, start })) this.#changed.set(key, NOTHING)
  }

  has(name: DeviceName, size: WindowSize, start: number): boolean {
    return this.#byEnd.get(start + windowSizesMs[size])?.has(timerKey(name, size, start)) ?? false
  }

  /** The ones that ended before a moment, at most so many. */
  before(moment: number, limit: number): WindowTimer[] {
    const found: WindowTimer[] = []
    for (const [end, windows] of this.#byEnd) {
      if (end > moment) continue
      for (const one of windows.values()) {
        if (found.length === limit) return found
        found.push(one)
      }
    }
    return found
  }

  done({ key, size, start }: WindowTimer): void {
    const end = start + windowSizesMs[size]
    const windows = this.#byEnd.get(end)
    windows?.delete(key)
    if (windows?.size === 0) this.#byEnd.delete(end)
    this.#changed.set(key, null)
  }

  takeChanges(): Map<string, Buffer | null> {
    const changes = new Map(this.#changed)
    this.#changed.clear()
    return changes
  }

  /** Whether it was not there. */
  #put(due: WindowTimer): boolean {
    const end = due.start + windowSizesMs[due.size]
    const windows = this.#byEnd.get(end) ?? new Map<string, WindowTimer>()
    this.#byEnd.set(end, windows)
    if (windows.has(due.key)) return false
    windows.set(due.key, due)
    return true
  }
}

const NOTHING = Buffer.alloc(0)
