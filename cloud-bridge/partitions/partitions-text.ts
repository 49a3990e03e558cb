import type { MovePartitionsAnswer, ShowPartitionsAnswer } from './partitions-command.ts'
import type { ZoneSpread } from './zone-spread.ts'

/** The answer of `partitions show` as text. */
export function describeSpread({ spread, kafka }: ShowPartitionsAnswer): string {
  const lines = [
    spread
      ? `zones are spread over ${partitionsText(spread.partitions)}`
      : 'zones are not spread yet; the first contact with Kafka spreads them',
  ]
  if (spread?.before) lines.push(`${beforeText(spread.before)} first`)
  if (typeof kafka === 'string')
    return [...lines, `Kafka does not report its partition counts: ${kafka}`].join('\n')
  for (const { topic, partitions } of Object.values(kafka)) {
    lines.push(
      partitions === 0
        ? `Kafka has no topic ${topic}`
        : `${topic} has ${partitionsText(partitions)}`,
    )
  }
  return lines.join('\n')
}

/** The answer of `partitions move` as text; `configured` is kafka.partitions. */
export function describeMove(
  { to, sequence, before }: MovePartitionsAnswer,
  configured: number | null,
): string {
  const lines = [`zones are spread over ${partitionsText(to)} from #${sequence} on`]
  if (before) lines.push(`${beforeText(before)} first`)
  if (configured !== null && configured !== to) {
    lines.push(`set kafka.partitions to ${to}, too: a new inbox starts with that number`)
  }
  return lines.join('\n')
}

const beforeText = ({ from, to, partitions }: NonNullable<ZoneSpread['before']>) =>
  `#${from} to #${to} go to ${partitionsText(partitions)}`
const partitionsText = (count: number) => `${count} partition${count === 1 ? '' : 's'}`
