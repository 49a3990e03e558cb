import { type Sender, SinkUnavailable } from '../forwarder.ts'
import { NoSuchTopic } from '../kafka/client.ts'

/** How many partitions a topic has: rejects with NoSuchTopic, or otherwise while nobody knows. */
export type PartitionsOf = (topic: string) => Promise<number>

/**
 * What keeps a topic from taking replays, with the cure, or null: it needs as many partitions as
 * readings are spread over. Rejects while Kafka cannot say.
 */
export async function topicFault(
  topic: string,
  needed: number,
  partitionsOf: PartitionsOf,
): Promise<string | null> {
  const found = await partitionsOf(topic).catch((error: Error) => {
    if (error instanceof NoSuchTopic) return 0
    throw error
  })
  if (found >= needed) return null
  const which = `kafka.topics.backfill = ${topic}`
  const tool = `kafka-topics.sh --${found === 0 ? 'create' : 'alter'} --topic ${topic}`
  const cure = `${tool} --partitions ${needed} gives it as many as readings are spread over`
  if (found === 0) return `${which}: Kafka has no such topic. ${cure}`
  return `${which} has too few partitions, ${found} and not ${needed}. ${cure}`
}

/** A sink that tells what is wrong with the topic, where that is why it is unavailable. */
export function explaining(
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
