import { partsOf, timeIn, within } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import { type DeviceName, dueKey, type Size, sizes } from '../model/series.ts'

/** The windows of a device that are to be told when their time is over. */
export type Due = { key: string; name: DeviceName; size: Size; start: number }

/** Which windows are yet to be told, by when they end; part of the state. */
export class DueWindows {
  readonly #byEnd = new Map<number, Map<string, Due>>()
  readonly #changed = new Map<string, Buffer | null>()
  readonly #sizes: ReadonlySet<Size>

  private constructor(sizes: ReadonlySet<Size>) {
    this.#sizes = sizes
  }

  /** As a state has them; from now on those of these sizes are added. */
  static async read(
    state: Pick<PartitionState, 'range'>,
    published: Iterable<Size>,
  ): Promise<DueWindows> {
    const due = new DueWindows(new Set(published))
    for (const { key } of await state.range(within('due'))) {
      const [, end, size, site, zone, device] = partsOf(key) as [string, string, Size] & string[]
      const name = { site: site!, zone: zone!, device: device! }
      due.#put({ key, name, size, start: timeIn(end) - sizes[size] })
    }
    return due
  }

  /** A device has a window that was not told. */
  add(name: DeviceName, size: Size, start: number): void {
    if (!this.#sizes.has(size)) return
    const key = dueKey(name, size, start)
    if (this.#put({ key, name, size, start })) this.#changed.set(key, NOTHING)
  }

  has(name: DeviceName, size: Size, start: number): boolean {
    return this.#byEnd.get(start + sizes[size])?.has(dueKey(name, size, start)) ?? false
  }

  /** The ones that ended before a moment, at most so many. */
  before(moment: number, limit: number): Due[] {
    const found: Due[] = []
    for (const [end, windows] of this.#byEnd) {
      if (end > moment) continue
      for (const one of windows.values()) {
        if (found.length === limit) return found
        found.push(one)
      }
    }
    return found
  }

  done({ key, size, start }: Due): void {
    const end = start + sizes[size]
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
  #put(due: Due): boolean {
    const end = due.start + sizes[due.size]
    const windows = this.#byEnd.get(end) ?? new Map<string, Due>()
    this.#byEnd.set(end, windows)
    if (windows.has(due.key)) return false
    windows.set(due.key, due)
    return true
  }
}

const NOTHING = Buffer.alloc(0)
