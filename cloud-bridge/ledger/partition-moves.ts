/** Events behind a sequence are spread over other partitions than those up to it. */
export type Spread = { behind: number; from: number; to: number; note: number }

/** Takes up that events are spread otherwise from a sequence on; notes come twice. */
export function addSpread(spreads: Spread[], spread: Spread): void {
  const isKnown = spreads.some(
    ({ note, behind }) => note === spread.note && behind === spread.behind,
  )
  if (!isKnown) spreads.push(spread)
  spreads.sort((a, b) => a.behind - b.behind || a.note - b.note)
}

/** Over how many partitions events were spread between two sequences, both excluded. */
export function countsBetween(spreads: readonly Spread[], above: number, below: number): number[] {
  const counts = new Set<number>()
  const add = (count: number, from: number, to: number) => {
    if (Math.max(from, above + 1) <= Math.min(to, below - 1)) counts.add(count)
  }
  for (const [index, { behind, from }] of spreads.entries()) {
    add(from, (spreads[index - 1]?.behind ?? Number.NEGATIVE_INFINITY) + 1, behind)
  }
  const last = spreads.at(-1)
  if (last) add(last.to, last.behind + 1, Number.POSITIVE_INFINITY)
  return [...counts]
}
