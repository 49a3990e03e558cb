/**
 * A topic's partition count changed: events up to `afterSequence` were spread over `from`
 * partitions, later events over `to` partitions. `note` is the number of the note that says so.
 */
export type PartitionCountChange = { afterSequence: number; from: number; to: number; note: number }

/** Adds a change in the order of sequences. A duplicate of the note changes nothing. */
export function addPartitionCountChange(
  changes: PartitionCountChange[],
  change: PartitionCountChange,
): void {
  const isKnown = changes.some(
    ({ note, afterSequence }) => note === change.note && afterSequence === change.afterSequence,
  )
  if (!isKnown) changes.push(change)
  changes.sort((a, b) => a.afterSequence - b.afterSequence || a.note - b.note)
}

/** The partition counts that applied between two sequences, both excluded. */
export function partitionCountsBetween(
  changes: readonly PartitionCountChange[],
  above: number,
  below: number,
): number[] {
  const counts = new Set<number>()
  const add = (count: number, from: number, to: number) => {
    if (Math.max(from, above + 1) <= Math.min(to, below - 1)) counts.add(count)
  }
  for (const [index, { afterSequence, from }] of changes.entries()) {
    add(from, (changes[index - 1]?.afterSequence ?? Number.NEGATIVE_INFINITY) + 1, afterSequence)
  }
  const last = changes.at(-1)
  if (last) add(last.to, last.afterSequence + 1, Number.POSITIVE_INFINITY)
  return [...counts]
}
