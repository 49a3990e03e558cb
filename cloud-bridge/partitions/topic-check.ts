import { NoSuchTopic } from '../kafka/client.ts'
import { type Sender, SinkUnavailable } from '../ports/event-sink.ts'

/** How many partitions a topic has: rejects with NoSuchTopic, or otherwise while nobody knows. */
export type PartitionCounter = (topic: string) => Promise<number>

/**
 * What keeps a topic from taking replays, with the cure, or null: it needs as many partitions as
 * readings are spread over. Rejects while Kafka cannot say.
 */
export async function topicFault(
  topic: string,
  needed: number,
  partitionsOf: PartitionCounter,
): Promise<string | null> {
  const found = await partitionCount(topic, partitionsOf)
  const fault = partitionShortage({ key: 'backfill', topic }, found, needed)
  return fault && `${fault} as readings are spread over`
}

/** How many partitions a topic has, 0 when there is none. Rejects while Kafka cannot say. */
export function partitionCount(topic: string, partitionsOf: PartitionCounter): Promise<number> {
  return partitionsOf(topic).catch((error: Error) => {
    if (error instanceof NoSuchTopic) return 0
    throw error
  })
}

/** What is wrong with a topic of `found` partitions, with the cure; null when it has enough. */
export function partitionShortage(
  { key, topic }: { key: 'readings' | 'backfill'; topic: string },
  found: number,
  needed: number,
): string | null {
  if (found >= needed) return null
  const which = `kafka.topics.${key} = ${topic}`
  const tool = `kafka-topics.sh --${found === 0 ? 'create' : 'alter'} --topic ${topic}`
  const cure = `${tool} --partitions ${needed} gives it as many`
  if (found === 0) return `${which}: Kafka has no such topic. ${cure}`
  return `${which} has too few partitions, ${found} and not ${needed}. ${cure}`
}

/** A sink that tells what is wrong with the topic, where that is why it is unavailable. */
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
