import { lastTimeOfKey } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import type { ActiveDevice } from '../model/active-series.ts'
import { type Block, emptyBlock, unpackBlock } from '../model/block.ts'
import type { Quarter } from '../model/chunk.ts'
import { type DeviceName, pointsBetween, windowSizesMs } from '../model/series.ts'

/** Blocks of which windows are to be told soon. */
const LOOSE_KEPT_MAX = 5000
const READ_AT_ONCE = 8
const FOREVER = Number.MAX_SAFE_INTEGER

/**
 * The blocks of devices that are in memory: the last one of each, those in which series end, and
 * what was read beside them. None is taken for missing that was not looked for.
 */
export class BlockCache {
  /** Those that may have nobody's end in them. */
  readonly #loose = new Map<Block, ActiveDevice>()
  readonly #state: Pick<PartitionState, 'range'>

  constructor(state: Pick<PartitionState, 'range'>) {
    this.#state = state
  }

  /** Reads the last block of a device, and with it where its series end. */
  async readLast(owner: ActiveDevice): Promise<void> {
    const span = { ...pointsBetween(owner.name, 0, FOREVER), limit: 1, backwards: true }
    const [row] = await this.#state.range(span)
    if (!row) return
    const { block, endings } = unpackBlock(lastTimeOfKey(row.key), row.value)
    Object.assign(owner, { latest: block.start, endings })
    this.#add(owner, block)
  }

  /** All blocks that begin from one moment to before another are in memory from now on. */
  async load(owner: ActiveDevice, from: number, to: number): Promise<void> {
    const missing: number[] = []
    for (let start = from; start < to; start += windowSizesMs['15m']) {
      if (!owner.blocks.has(start)) missing.push(start)
    }
    // The last one is in memory.
    const until = Math.min(to, owner.latest)
    if (missing.length > 0 && missing[0]! < until) {
      const rows = await this.#state.range(pointsBetween(owner.name, missing[0]!, until))
      for (const { key, value } of rows) this.#put(owner, key, value)
    }
    for (const start of missing) {
      if (!owner.blocks.has(start)) this.#add(owner, emptyBlock(start))
    }
  }

  /** A block that is in memory from now on; an empty one where there is none. */
  async get(owner: ActiveDevice, start: number): Promise<Block> {
    await this.load(owner, start, start + windowSizesMs['15m'])
    return owner.blocks.get(start)!
  }

  /** The first quarter of a series that begins at a moment or behind it. */
  async next(owner: ActiveDevice, metric: string, from: number): Promise<Quarter | null> {
    for (let begin = from; begin <= owner.latest; ) {
      const span = pointsBetween(owner.name, begin, owner.latest + 1)
      const rows = await this.#state.range({ ...span, limit: READ_AT_ONCE })
      for (const { key, value } of rows) {
        const found = this.#put(owner, key, value).quarters.get(metric)
        if (found) return found
        begin = lastTimeOfKey(key) + 1
      }
      if (rows.length < READ_AT_ONCE) return null
    }
    return null
  }

  /** A block that gets points; it was looked for. */
  enter(owner: ActiveDevice, start: number): Block {
    const block = owner.blocks.get(start)
    if (!block) throw new Error(`the block of ${start} was not looked for`)
    this.#loose.set(block, owner)
    if (start > owner.latest) {
      const before = owner.blocks.get(owner.latest)
      if (before) this.#loose.set(before, owner)
      owner.latest = start
    }
    return block
  }

  /** A series ends in the block no more. */
  leave(owner: ActiveDevice, block: Block): void {
    block.ending--
    this.#loose.set(block, owner)
  }

  /** The quarters of a series, with points, from one moment to before another; all were loaded. */
  *of(owner: ActiveDevice, metric: string, from: number, to: number): Generator<Quarter> {
    for (let start = from; start < to; start += windowSizesMs['15m']) {
      const quarter = owner.blocks.get(start)?.quarters.get(metric)
      if (quarter) yield quarter
    }
  }

  /** Lets go of what is not needed; `isDue` tells of blocks that are needed soon. */
  shrink(isDue: (name: DeviceName, start: number) => boolean): void {
    for (const [block, owner] of this.#loose) {
      const { start, ending } = block
      const isNeeded = ending > 0 || start === owner.latest
      if (!isNeeded && this.#loose.size < LOOSE_KEPT_MAX && isDue(owner.name, start)) continue
      this.#loose.delete(block)
      if (!isNeeded) owner.blocks.delete(start)
    }
  }

  /** The devices are not in memory any more. */
  clear(): void {
    this.#loose.clear()
  }

  #put(owner: ActiveDevice, key: string, value: Buffer): Block {
    const start = lastTimeOfKey(key)
    // What is in memory is as new or newer.
    const there = owner.blocks.get(start)
    if (there && there.quarters.size > 0) return there
    return this.#add(owner, unpackBlock(start, value).block)
  }

  #add(owner: ActiveDevice, block: Block): Block {
    owner.blocks.set(block.start, block)
    this.#loose.set(block, owner)
    return block
  }
}
