import { lastTimeOfKey } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import type { ActiveDevice } from '../model/active-series.ts'
import { type Block, emptyBlock, unpackBlock } from '../model/block.ts'
import type { Quarter } from '../model/quarter.ts'
import { type DeviceName, pointsBetween } from '../model/series.ts'
import { BASE_MS } from '../model/window-sizes.ts'

/** How many evictable blocks stay in memory when their windows are to be published soon. */
const EVICTABLE_KEPT_MAX = 5000
const READ_AT_ONCE = 8
const FOREVER = Number.MAX_SAFE_INTEGER

/**
 * The blocks of devices in memory: each device's last block, the blocks with the last point of a
 * series, and further ones that were loaded. A block that was loaded and does not exist is cached
 * as an empty one, so a missing cache entry never means a missing row.
 */
export class BlockCache {
  /** Blocks that may contain no series' last point. */
  readonly #evictable = new Map<Block, ActiveDevice>()
  readonly #state: Pick<PartitionState, 'range'>

  constructor(state: Pick<PartitionState, 'range'>) {
    this.#state = state
  }

  /** Reads a device's last block, and from it where the device's series end. */
  async readLast(owner: ActiveDevice): Promise<void> {
    const range = { ...pointsBetween(owner.name, 0, FOREVER), limit: 1, backwards: true }
    const [row] = await this.#state.range(range)
    if (!row) return
    const { block, endBlockStarts } = unpackBlock(lastTimeOfKey(row.key), row.value)
    owner.lastBlockStart = block.start
    owner.endBlockStarts = endBlockStarts
    this.#add(owner, block)
  }

  /** Brings all blocks that start at `from` or later and before `to` into memory. */
  async load(owner: ActiveDevice, from: number, to: number): Promise<void> {
    const missing: number[] = []
    for (let start = from; start < to; start += BASE_MS) {
      if (!owner.blocks.has(start)) missing.push(start)
    }
    // The last block is in memory.
    const readBefore = Math.min(to, owner.lastBlockStart)
    if (missing.length > 0 && missing[0]! < readBefore) {
      const rows = await this.#state.range(pointsBetween(owner.name, missing[0]!, readBefore))
      for (const { key, value } of rows) this.#addRow(owner, key, value)
    }
    for (const start of missing) {
      if (!owner.blocks.has(start)) this.#add(owner, emptyBlock(start))
    }
  }

  /** Brings a block into memory; an empty one when none exists. */
  async get(owner: ActiveDevice, start: number): Promise<Block> {
    await this.load(owner, start, start + BASE_MS)
    return owner.blocks.get(start)!
  }

  /** Reads the first quarter of a series that starts at `from` or later. */
  async nextQuarter(owner: ActiveDevice, metric: string, from: number): Promise<Quarter | null> {
    for (let begin = from; begin <= owner.lastBlockStart; ) {
      const range = pointsBetween(owner.name, begin, owner.lastBlockStart + 1)
      const rows = await this.#state.range({ ...range, limit: READ_AT_ONCE })
      for (const { key, value } of rows) {
        const quarter = this.#addRow(owner, key, value).quarters.get(metric)
        if (quarter) return quarter
        begin = lastTimeOfKey(key) + 1
      }
      if (rows.length < READ_AT_ONCE) return null
    }
    return null
  }

  /** A block that is about to get points. Throws when the block was not loaded. */
  forPoints(owner: ActiveDevice, start: number): Block {
    const block = owner.blocks.get(start)
    if (!block) throw new Error(`the block of ${start} was not loaded`)
    this.#evictable.set(block, owner)
    if (start > owner.lastBlockStart) {
      const previous = owner.blocks.get(owner.lastBlockStart)
      if (previous) this.#evictable.set(previous, owner)
      owner.lastBlockStart = start
    }
    return block
  }

  /** Notes that one series fewer has its last point in this block. */
  removeSeriesEnd(owner: ActiveDevice, block: Block): void {
    block.endingSeries--
    this.#evictable.set(block, owner)
  }

  /** The quarters with points of a series, from `from` to before `to`; all were loaded. */
  *quartersBetween(
    owner: ActiveDevice,
    metric: string,
    from: number,
    to: number,
  ): Generator<Quarter> {
    for (let start = from; start < to; start += BASE_MS) {
      const quarter = owner.blocks.get(start)?.quarters.get(metric)
      if (quarter) yield quarter
    }
  }

  /** Evicts unneeded blocks. `isNeededSoon` names blocks whose windows are published soon. */
  evict(isNeededSoon: (name: DeviceName, start: number) => boolean): void {
    for (const [block, owner] of this.#evictable) {
      const { start, endingSeries } = block
      const isNeeded = endingSeries > 0 || start === owner.lastBlockStart
      const hasRoom = this.#evictable.size < EVICTABLE_KEPT_MAX
      if (!isNeeded && hasRoom && isNeededSoon(owner.name, start)) continue
      this.#evictable.delete(block)
      if (!isNeeded) owner.blocks.delete(start)
    }
  }

  /** Forgets all blocks, because no device is in memory any more. */
  clear(): void {
    this.#evictable.clear()
  }

  #addRow(owner: ActiveDevice, key: string, value: Buffer): Block {
    const start = lastTimeOfKey(key)
    // A block in memory is as new as the row, or newer.
    const cached = owner.blocks.get(start)
    if (cached && cached.quarters.size > 0) return cached
    return this.#add(owner, unpackBlock(start, value).block)
  }

  #add(owner: ActiveDevice, block: Block): Block {
    owner.blocks.set(block.start, block)
    this.#evictable.set(block, owner)
    return block
  }
}
