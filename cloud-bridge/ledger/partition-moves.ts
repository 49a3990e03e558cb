/** Events behind a sequence are spread over other partitions than those up to it. */
export type PartitionCountChange = { afterSequence: number; from: number; to: number; note: number }

/** Takes up that events are spread otherwise from a sequence on; notes come twice. */
export function addPartitionCountChange(
  spreads: PartitionCountChange[],
  spread: PartitionCountChange,
): void {
  const isKnown = spreads.some(
    ({ note, afterSequence }) => note === spread.note && afterSequence === spread.afterSequence,
  )
  if (!isKnown) spreads.push(spread)
  spreads.sort((a, b) => a.afterSequence - b.afterSequence || a.note - b.note)
}

/** Over how many partitions events were spread between two sequences, both excluded. */
export function partitionCountsBetween(
  spreads: readonly PartitionCountChange[],
  above: number,
  below: number,
): number[] {
  const counts = new Set<number>()
  const add = (count: number, from: number, to: number) => {
    if (Math.max(from, above + 1) <= Math.min(to, below - 1)) counts.add(count)
  }
  for (const [index, { afterSequence, from }] of spreads.entries()) {
    add(from, (spreads[index - 1]?.afterSequence ?? Number.NEGATIVE_INFINITY) + 1, afterSequence)
  }
  const last = spreads.at(-1)
  if (last) add(last.to, last.afterSequence + 1, Number.POSITIVE_INFINITY)
  return [...counts]
}
