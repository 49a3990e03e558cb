/**
 * The partitions of each member. Partition p of every topic goes to the same member, because live
 * and backfilled events of a zone update the same state. The members are sorted by id, so that
 * every group leader computes the same assignment.
 */
export function assignPartitions(
  memberIds: readonly string[],
  partitions: number,
): Map<string, number[]> {
  const members = [...memberIds].sort()
  const assigned = new Map<string, number[]>(members.map(id => [id, []]))
  for (let partition = 0; partition < partitions; partition++) {
    assigned.get(members[partition % members.length]!)!.push(partition)
  }
  return assigned
}

/** Why topics with these partition counts cannot be consumed together, with the cure; or null. */
export function partitionCountFault(counts: ReadonlyMap<string, number>): string | null {
  const [first, ...others] = [...counts]
  const other = others.find(([, count]) => count !== first![1])
  if (!first || !other) return null
  const [most, fewest] = [first, other].sort(([, a], [, b]) => b - a) as [
    [string, number],
    [string, number],
  ]
  return (
    `topic ${most[0]} has ${most[1]} partitions and ${fewest[0]} has ${fewest[1]}, but live and ` +
    'backfilled events of a zone need the same partition number; add partitions: ' +
    `kafka-topics.sh --alter --topic ${fewest[0]} --partitions ${most[1]}`
  )
}
