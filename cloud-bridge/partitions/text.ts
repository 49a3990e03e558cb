import type { MovePartitionsAnswer, ShowPartitionsAnswer } from './command.ts'
import type { ZoneSpread } from './zone-spread.ts'

/** How zones are spread, for a person. */
export function describeSpread({ spread, kafka }: ShowPartitionsAnswer): string {
  const lines = [
    spread
      ? `zones are spread over ${partitions(spread.partitions)}`
      : 'zones are not spread yet: the first contact with Kafka does it',
  ]
  if (spread?.before) lines.push(`${told(spread.before)} first`)
  if (typeof kafka === 'string')
    return [...lines, `Kafka does not say what it has: ${kafka}`].join('\n')
  for (const { topic, partitions: found } of Object.values(kafka)) {
    lines.push(found === 0 ? `Kafka has no topic ${topic}` : `${topic} has ${partitions(found)}`)
  }
  return lines.join('\n')
}

/** What a move came to, for a person; `configured` is kafka.partitions. */
export function describeMove(
  { to, sequence, before }: MovePartitionsAnswer,
  configured: number | null,
): string {
  const lines = [`zones are spread over ${partitions(to)} from #${sequence} on`]
  if (before) lines.push(`${told(before)} first`)
  if (configured !== null && configured !== to) {
    lines.push(`set kafka.partitions to ${to}, too: a new inbox begins with that number`)
  }
  return lines.join('\n')
}

const told = ({ from, to, partitions: number }: NonNullable<ZoneSpread['before']>) =>
  `#${from} to #${to} go to ${partitions(number)}`
const partitions = (count: number) => `${count} partition${count === 1 ? '' : 's'}`
