import type { KafkaOptions } from '../kafka/client.ts'
import { type Finding, fault, ok } from './finding.ts'

/** Whether the bridge may write to its topics; asked, not tried, so that nothing is written. */
export async function rightsFindings(
  kafka: KafkaOptions,
  topics: readonly string[],
): Promise<Finding[]> {
  // Loaded here alone: the bridge goes by the library that is configured.
  const { askRights } = await import('../kafka/platformatic/rights.ts')
  const rights = await askRights(kafka, topics)
  const denied = topics.filter(topic => rights.get(topic) === false)
  // Of a topic that is not there, or not to be seen, was told before.
  if (denied.length === 0) return rights.size === 0 ? [] : [ok('right to write', told(rights))]
  return denied.map(topic =>
    fault(
      `right to write to ${topic}`,
      'not granted',
      `kafka-acls.sh --add --operation Write --topic ${topic} --allow-principal User:… (docs/security.md)`,
    ),
  )
}

const told = (rights: ReadonlyMap<string, boolean>) =>
  `granted, to ${[...rights.keys()].join(', ')}`
