import { lastTimeOfKey } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import type { ActiveDevice } from '../model/active-series.ts'
import { type Block, emptyBlock, unpackBlock } from '../model/block.ts'
import type { Quarter } from '../model/quarter.ts'
import { type DeviceName, pointsBetween } from '../model/series.ts'
import { BASE_MS } from '../model/window-sizes.ts'

/** Fewer evictable blocks than this stay in memory when their windows are to be published soon. */
const EVICTABLE_KEPT_MAX = 5000
const READ_AT_ONCE = 8
const FOREVER = Number.MAX_SAFE_INTEGER

/**
 * The blocks of devices in memory: each device's last block, the blocks with the last point of a
 * series, and further blocks that were loaded. When a loaded block has no row, an empty block is
 * cached. So a block without a cache entry was not loaded, and may have a row.
 */
export class BlockCache {
  /** Blocks that may contain the last point of no series, each with its device. */
  readonly #evictable = new Map<Block, ActiveDevice>()
  readonly #state: Pick<PartitionState, 'range'>

  constructor(state: Pick<PartitionState, 'range'>) {
    this.#state = state
  }

  /**
   * Loads a device's last block. That block also stores which block contains the last point of each
   * series of the device.
   */
  async readLast(owner: ActiveDevice): Promise<void> {
    const range = { ...pointsBetween(owner.name, 0, FOREVER), limit: 1, backwards: true }
    const [row] = await this.#state.range(range)
    if (!row) return
    const { block, endBlockStarts } = unpackBlock(lastTimeOfKey(row.key), row.value)
    owner.lastBlockStart = block.start
    owner.endBlockStarts = endBlockStarts
    this.#add(owner, block)
  }

  /** Loads all blocks that start at `from` or later and before `to`. */
  async load(owner: ActiveDevice, from: number, to: number): Promise<void> {
    const missing: number[] = []
    for (let start = from; start < to; start += BASE_MS) {
      if (!owner.blocks.has(start)) missing.push(start)
    }
    // The device's last block is in memory, and no block is after the last one.
    const readBefore = Math.min(to, owner.lastBlockStart)
    if (missing.length > 0 && missing[0]! < readBefore) {
      const rows = await this.#state.range(pointsBetween(owner.name, missing[0]!, readBefore))
      for (const { key, value } of rows) this.#addRow(owner, key, value)
    }
    for (const start of missing) {
      if (!owner.blocks.has(start)) this.#add(owner, emptyBlock(start))
    }
  }

  /** Loads a block. Returns an empty block when the block has no row. */
  async get(owner: ActiveDevice, start: number): Promise<Block> {
    await this.load(owner, start, start + BASE_MS)
    return owner.blocks.get(start)!
  }

  /**
   * Loads the first quarter of a series that starts at `from` or later; null when there is none.
   */
  async #nextQuarter(owner: ActiveDevice, metric: string, from: number): Promise<Quarter | null> {
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

  /**
   * Returns the first quarter of a series that starts after `start`, and loads its block; null when
   * there is none. The quarter may be in memory only.
   */
  async followingQuarter(
    owner: ActiveDevice,
    metric: string,
    start: number,
  ): Promise<Quarter | null> {
    const next = owner.blocks.get(start + BASE_MS)?.quarters.get(metric)
    if (next) return next
    await this.#nextQuarter(owner, metric, start + 1)
    return followingInMemory(owner, metric, start)
  }

  /** Returns the block to which the caller adds a point. Throws when the block was not loaded. */
  forPoints(owner: ActiveDevice, start: number): Block {
    const block = owner.blocks.get(start)
    if (!block) {
      const { site, zone, device } = owner.name
      const place = `${site}/${zone}/${device} from ${start} ms since 1970`
      throw new Error(`cannot add a point: the block of ${place} was not loaded`)
    }
    this.#evictable.set(block, owner)
    if (start > owner.lastBlockStart) {
      const previous = owner.blocks.get(owner.lastBlockStart)
      if (previous) this.#evictable.set(previous, owner)
      owner.lastBlockStart = start
    }
    return block
  }

  /** Records that one series fewer has its last point in this block. */
  removeSeriesEnd(owner: ActiveDevice, block: Block): void {
    block.endingSeries--
    this.#evictable.set(block, owner)
  }

  /**
   * The quarters of a series with points that start at `from` or later and before `to`. The caller
   * must have loaded all blocks between `from` and `to`.
   */
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

  /**
   * Evicts blocks that are not needed. `isNeededSoon` says whether a block has windows that are to
   * be published soon.
   */
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

  /** Forgets all blocks. The caller removes all devices from memory as well. */
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

/** The first quarter of a series in memory that starts after `start`; null when there is none. */
export function followingInMemory(
  owner: ActiveDevice,
  metric: string,
  start: number,
): Quarter | null {
  let following: Quarter | null = null
  for (const block of owner.blocks.values()) {
    if (block.start <= start || (following && block.start > following.start)) continue
    following = block.quarters.get(metric) ?? following
  }
  return following
}
