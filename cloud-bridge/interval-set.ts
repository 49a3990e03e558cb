/** What is missing between two numbers, and the marks of its neighbours that are there. */
export type Gap<Mark> = { from: number; to: number; before?: Mark; after?: Mark }

type Span<Mark> = { from: number; to: number; low?: Mark | undefined; high?: Mark | undefined }
type Place = { block: number; at: number }

/** Inserting moves so many spans at most, however many there are. */
const BLOCK_MAX_SPANS = 256

/**
 * A set of whole numbers, kept as intervals: its size grows with the holes, not with the numbers.
 * What a consumer needs, one a zone and epoch, to drop duplicates and to name what is missing. A
 * number may come with a mark, which is kept while the number is at the edge of a hole.
 */
export class IntervalSet<Mark = undefined> {
  /** Sorted; only the one block of an empty set is empty. */
  readonly #blocks: Span<Mark>[][] = [[]]

  /** Adds a number; false when it was there already. */
  add(number: number, mark?: Mark): boolean {
    const newest = this.#newest
    if (newest && number === newest.to + 1) {
      newest.to = number
      newest.high = mark
      return true
    }
    const place = this.#upTo(number)
    const before = this.#at(place)
    if (before && number <= before.to) return false
    const next = this.#next(place)
    const behind = this.#at(next)
    const joinsBehind = behind?.from === number + 1
    if (before?.to === number - 1) {
      before.to = joinsBehind ? behind.to : number
      before.high = joinsBehind ? behind.high : mark
      if (joinsBehind) this.#remove(next)
    } else if (joinsBehind) {
      behind.from = number
      behind.low = mark
    } else this.#insertBehind(place, { from: number, to: number, low: mark, high: mark })
    return true
  }

  /** Adds all numbers from `from` to `to`, both included; nothing when `to` is the lower one. */
  addRange(from: number, to: number, mark?: Mark): void {
    if (to < from) return
    const span: Span<Mark> = { from, to, low: mark, high: mark }
    for (;;) {
      const place = this.#upTo(to + 1)
      const last = this.#at(place)
      if (!last || last.to < from - 1) break
      if (last.from <= span.from) Object.assign(span, { from: last.from, low: last.low })
      if (last.to >= span.to) Object.assign(span, { to: last.to, high: last.high })
      this.#remove(place)
    }
    this.#insertBehind(this.#upTo(from), span)
  }

  /** Whether all numbers from `from` to `to` are there; true when there are none between. */
  covers(from: number, to: number): boolean {
    return to < from || (this.#at(this.#upTo(from))?.to ?? Number.NEGATIVE_INFINITY) >= to
  }

  /** What is missing from `from` to `to`, both included, in order. */
  gaps(from: number, to: number): Gap<Mark>[] {
    const gaps: Gap<Mark>[] = []
    let place = this.#upTo(from)
    let before = this.#at(place)
    for (let next = Math.max(from, (before?.to ?? from - 1) + 1); next <= to; ) {
      place = this.#next(place)
      const after = this.#at(place)
      const gap: Gap<Mark> = { from: next, to: Math.min(to, (after?.from ?? to + 1) - 1) }
      if (before?.high !== undefined) gap.before = before.high
      if (after?.low !== undefined) gap.after = after.low
      if (gap.to >= gap.from) gaps.push(gap)
      if (!after) break
      next = after.to + 1
      before = after
    }
    return gaps
  }

  /** What is missing between the lowest and the highest number seen. */
  get innerGaps(): [from: number, to: number][] {
    const { lowest, highest } = this
    if (lowest === undefined || highest === undefined) return []
    return this.gaps(lowest, highest).map(({ from, to }) => [from, to])
  }

  get lowest(): number | undefined {
    return this.#blocks[0]![0]?.from
  }

  get highest(): number | undefined {
    return this.#newest?.to
  }

  /** All intervals in order, both ends included. */
  get spans(): [from: number, to: number][] {
    return this.#blocks.flatMap(block => block.map(({ from, to }): [number, number] => [from, to]))
  }

  get #newest(): Span<Mark> | undefined {
    const block = this.#blocks[this.#blocks.length - 1]!
    return block[block.length - 1]
  }

  #at({ block, at }: Place): Span<Mark> | undefined {
    return this.#blocks[block]?.[at]
  }

  /** The last interval that begins at the number or before it; index -1 when there is none. */
  #upTo(number: number): Place {
    const block = Math.max(0, countUpTo(this.#blocks, number, first) - 1)
    return { block, at: countUpTo(this.#blocks[block]!, number, from) - 1 }
  }

  #next({ block, at }: Place): Place {
    return at + 1 < this.#blocks[block]!.length
      ? { block, at: at + 1 }
      : { block: block + 1, at: 0 }
  }

  #insertBehind({ block, at }: Place, span: Span<Mark>): void {
    const spans = this.#blocks[block]!
    spans.splice(at + 1, 0, span)
    if (spans.length <= BLOCK_MAX_SPANS) return
    this.#blocks.splice(block + 1, 0, spans.splice(BLOCK_MAX_SPANS >> 1))
  }

  #remove({ block, at }: Place): void {
    const spans = this.#blocks[block]!
    spans.splice(at, 1)
    if (spans.length === 0 && this.#blocks.length > 1) this.#blocks.splice(block, 1)
  }
}

const from = (span: { from: number }) => span.from
const first = (block: { from: number }[]) => block[0]?.from ?? Number.POSITIVE_INFINITY

/** How many of the sorted entries have a number up to this one. */
function countUpTo<T>(sorted: readonly T[], number: number, numberOf: (entry: T) => number) {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (numberOf(sorted[middle]!) <= number) low = middle + 1
    else high = middle
  }
  return low
}
