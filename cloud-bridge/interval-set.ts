import { lowerBound } from '../config/collections/lower-bound.ts'

/** Numbers missing from a set, and the marks of the present numbers on both sides. */
export type Gap<Mark> = { from: number; to: number; before?: Mark; after?: Mark }

type Interval<Mark> = {
  from: number
  to: number
  fromMark?: Mark | undefined
  toMark?: Mark | undefined
}
type Position = { block: number; index: number }

/** A longer block is split, so that an insert moves at most this many intervals of a large set. */
const BLOCK_MAX_INTERVALS = 256

/**
 * A set of whole numbers, stored as intervals: its memory grows with the number of gaps, not with
 * the number of numbers. A consumer needs one set per zone and epoch, to drop duplicates and to
 * name missing numbers. A number may have a mark. The set keeps the mark only while the number is
 * at the edge of a gap.
 */
export class IntervalSet<Mark = undefined> {
  /**
   * Blocks of intervals in ascending order. No block is empty, except the only block of an empty
   * set.
   */
  readonly #blocks: Interval<Mark>[][] = [[]]

  /** Adds a number; false when the set contained it already. */
  add(number: number, mark?: Mark): boolean {
    const last = this.#last
    if (last && number === last.to + 1) {
      last.to = number
      last.toMark = mark
      return true
    }
    const position = this.#positionUpTo(number)
    const before = this.#at(position)
    if (before && number <= before.to) return false
    const next = this.#next(position)
    const after = this.#at(next)
    const touchesAfter = after?.from === number + 1
    if (before?.to === number - 1) {
      before.to = touchesAfter ? after.to : number
      before.toMark = touchesAfter ? after.toMark : mark
      if (touchesAfter) this.#remove(next)
    } else if (touchesAfter) {
      after.from = number
      after.fromMark = mark
    } else {
      this.#insertAfter(position, { from: number, to: number, fromMark: mark, toMark: mark })
    }
    return true
  }

  /** Adds all numbers from `from` to `to`, both included; none when `to` is less than `from`. */
  addRange(from: number, to: number, mark?: Mark): void {
    if (to < from) return
    const merged: Interval<Mark> = { from, to, fromMark: mark, toMark: mark }
    for (;;) {
      const position = this.#positionUpTo(to + 1)
      const last = this.#at(position)
      if (!last || last.to < from - 1) break
      if (last.from <= merged.from) {
        Object.assign(merged, { from: last.from, fromMark: last.fromMark })
      }
      if (last.to >= merged.to) Object.assign(merged, { to: last.to, toMark: last.toMark })
      this.#remove(position)
    }
    this.#insertAfter(this.#positionUpTo(from), merged)
  }

  /**
   * Whether the set contains all numbers from `from` to `to`; true when `to` is less than `from`.
   */
  covers(from: number, to: number): boolean {
    const interval = this.#at(this.#positionUpTo(from))
    return to < from || (interval?.to ?? Number.NEGATIVE_INFINITY) >= to
  }

  /** The missing numbers from `from` to `to`, both included, in order. */
  gaps(from: number, to: number): Gap<Mark>[] {
    const gaps: Gap<Mark>[] = []
    let position = this.#positionUpTo(from)
    let before = this.#at(position)
    for (let next = Math.max(from, (before?.to ?? from - 1) + 1); next <= to; ) {
      position = this.#next(position)
      const after = this.#at(position)
      const gap: Gap<Mark> = { from: next, to: Math.min(to, (after?.from ?? to + 1) - 1) }
      if (before?.toMark !== undefined) gap.before = before.toMark
      if (after?.fromMark !== undefined) gap.after = after.fromMark
      if (gap.to >= gap.from) gaps.push(gap)
      if (!after) break
      next = after.to + 1
      before = after
    }
    return gaps
  }

  /** The gaps between the lowest and the highest number of the set, both ends of a gap included. */
  get innerGaps(): [from: number, to: number][] {
    const { lowest, highest } = this
    if (lowest === undefined || highest === undefined) return []
    return this.gaps(lowest, highest).map(({ from, to }) => [from, to])
  }

  get lowest(): number | undefined {
    return this.#blocks[0]![0]?.from
  }

  get highest(): number | undefined {
    return this.#last?.to
  }

  /** All intervals in order, both ends included. */
  get spans(): [from: number, to: number][] {
    return this.#blocks.flatMap(block => block.map(({ from, to }): [number, number] => [from, to]))
  }

  get #last(): Interval<Mark> | undefined {
    const block = this.#blocks[this.#blocks.length - 1]!
    return block[block.length - 1]
  }

  #at({ block, index }: Position): Interval<Mark> | undefined {
    return this.#blocks[block]?.[index]
  }

  /**
   * The position of the last interval that starts at or before the number; index -1 without one.
   */
  #positionUpTo(number: number): Position {
    const block = Math.max(0, lowerBound(this.#blocks, entry => startOf(entry) <= number) - 1)
    return { block, index: lowerBound(this.#blocks[block]!, ({ from }) => from <= number) - 1 }
  }

  #next({ block, index }: Position): Position {
    return index + 1 < this.#blocks[block]!.length
      ? { block, index: index + 1 }
      : { block: block + 1, index: 0 }
  }

  #insertAfter({ block, index }: Position, interval: Interval<Mark>): void {
    const intervals = this.#blocks[block]!
    intervals.splice(index + 1, 0, interval)
    if (intervals.length <= BLOCK_MAX_INTERVALS) return
    this.#blocks.splice(block + 1, 0, intervals.splice(BLOCK_MAX_INTERVALS >> 1))
  }

  #remove({ block, index }: Position): void {
    const intervals = this.#blocks[block]!
    intervals.splice(index, 1)
    if (intervals.length === 0 && this.#blocks.length > 1) this.#blocks.splice(block, 1)
  }
}

const startOf = (block: readonly { from: number }[]) => block[0]?.from ?? Number.POSITIVE_INFINITY
