/**
 * Who reads which partitions: partition p of every topic goes to the same member, because what
 * came live and what was drained behind it meet in one state. Members are taken in the order of
 * their ids, so that every leader of the group comes to the same.
 */
export function assignPartitions(
  memberIds: readonly string[],
  partitions: number,
): Map<string, number[]> {
  const members = [...memberIds].sort()
  const shares = new Map<string, number[]>(members.map(id => [id, []]))
  for (let partition = 0; partition < partitions; partition++) {
    shares.get(members[partition % members.length]!)!.push(partition)
  }
  return shares
}

/** What keeps topics from being read together, with the cure; null when nothing does. */
export function partitionCountFault(counts: ReadonlyMap<string, number>): string | null {
  const [first, ...others] = [...counts]
  const other = others.find(([, count]) => count !== first![1])
  if (!first || !other) return null
  const [most, fewest] = [first, other].sort(([, one], [, two]) => two - one) as [
    [string, number],
    [string, number],
  ]
  return (
    `topic ${most[0]} has ${most[1]} partitions and ${fewest[0]} has ${fewest[1]}: a zone's live and ` +
    `backfilled events must have the same number. kafka-topics.sh --alter --topic ${fewest[0]} ` +
    `--partitions ${most[1]} gives it as many`
  )
}
