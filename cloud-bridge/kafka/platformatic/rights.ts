import { metadataV9 } from '@platformatic/kafka'
import type { KafkaOptions } from '../client.ts'
import { describeError } from '../errors.ts'
import { openCluster } from './cluster.ts'

/** Kafka's number for writing among what can be done with a topic: a bit in what is allowed. */
const WRITE = 4

/**
 * Which of these topics we may write to, without writing; those that are not there, or that we may
 * not even see, are left out. Rejects while Kafka is away. Only this library can ask.
 */
export async function fetchWriteRights(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<Map<string, boolean>> {
  await using cluster = openCluster(options)
  try {
    const answer = await cluster.askAny(via => metadataV9.api.async(via, [...topics], false, true))
    const seen = answer.topics.filter(({ errorCode }) => errorCode === 0)
    return new Map(
      seen.map(({ name, topicAuthorizedOperations: allowed }) => [
        name ?? '',
        (allowed & (1 << WRITE)) !== 0,
      ]),
    )
  } catch (error) {
    throw new Error(describeError(error), { cause: error })
  }
}
