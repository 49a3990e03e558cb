import { NoSuchTopic } from '../kafka/client.ts'
import { type Sender, SinkUnavailable } from '../ports/event-sink.ts'

/**
 * Resolves with the number of a topic's partitions. Rejects with NoSuchTopic, or with another error
 * while Kafka does not answer.
 */
export type PartitionCounter = (topic: string) => Promise<number>

/**
 * Why the backfill topic cannot accept a backlog or replay, with the cure, or null: the topic needs
 * as many partitions as readings are spread over. Rejects while Kafka does not answer.
 */
export async function topicFault(
  topic: string,
  needed: number,
  partitionsOf: PartitionCounter,
): Promise<string | null> {
  const count = await partitionCount(topic, partitionsOf)
  const fault = partitionShortage({ key: 'backfill', topic }, count, needed)
  return fault && `${fault} as readings are spread over`
}

/** The number of a topic's partitions, 0 without a topic. Rejects while Kafka does not answer. */
export function partitionCount(topic: string, partitionsOf: PartitionCounter): Promise<number> {
  return partitionsOf(topic).catch((error: Error) => {
    if (error instanceof NoSuchTopic) return 0
    throw error
  })
}

/** Why a topic with `count` partitions is too small, with the cure; null when it has enough. */
export function partitionShortage(
  { key, topic }: { key: 'readings' | 'backfill'; topic: string },
  count: number,
  needed: number,
): string | null {
  if (count >= needed) return null
  const subject = `kafka.topics.${key} = ${topic}`
  const tool = `kafka-topics.sh --${count === 0 ? 'create' : 'alter'} --topic ${topic}`
  const cure = `${tool} --partitions ${needed} gives it as many`
  if (count === 0) return `${subject}: Kafka has no such topic. ${cure}`
  return `${subject} has too few partitions, ${count} and not ${needed}. ${cure}`
}

/**
 * A sink that throws SinkUnavailable with the topic's fault, where the topic has a fault; otherwise
 * with the sink's own reason.
 */
export function explainUnavailable(
  sink: Sender,
  faultOf: (topic: string) => Promise<string | null>,
): Sender {
  return {
    async send(batch) {
      try {
        return await sink.send(batch)
      } catch (error) {
        if (!(error instanceof SinkUnavailable)) throw error
        const fault = await faultOf(batch.topic).catch(() => null)
        throw fault === null ? error : new SinkUnavailable(fault, { cause: error })
      }
    },
  }
}
