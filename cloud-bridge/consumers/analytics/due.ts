import { partsOf, timeIn, within } from '../state/keys.ts'
import type { PartitionState } from '../state/state.ts'
import { dueKey, type SeriesName, type Size, sizes } from './series.ts'

/** A window that is to be told when its time is over. */
export type Due = { key: string; name: SeriesName; size: Size; start: number }

/** Which windows are yet to be told, by when they end; part of the state. */
export class DueWindows {
  readonly #byEnd = new Map<number, Map<string, Due>>()
  readonly #changed = new Map<string, Buffer | null>()

  /** As a state has them. */
  static async read(state: Pick<PartitionState, 'range'>): Promise<DueWindows> {
    const due = new DueWindows()
    for (const { key } of await state.range(within('due'))) {
      const [, end, size, site, zone, device, metric] = partsOf(key) as [string, string, Size] &
        string[]
      const name = { site: site!, zone: zone!, device: device!, metric: metric! }
      due.#put({ key, name, size, start: timeIn(end) - sizes[size] })
    }
    return due
  }

  add({ site, zone, device, metric }: SeriesName, size: Size, start: number): void {
    const name = { site, zone, device, metric }
    const key = dueKey(name, size, start)
    this.#put({ key, name, size, start })
    this.#changed.set(key, NOTHING)
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

  #put(due: Due): void {
    const end = due.start + sizes[due.size]
    const windows = this.#byEnd.get(end) ?? new Map<string, Due>()
    this.#byEnd.set(end, windows)
    windows.set(due.key, due)
  }
}

const NOTHING = Buffer.alloc(0)
