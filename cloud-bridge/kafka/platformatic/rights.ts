import type { KafkaOptions } from '../client.ts'
import { describeError } from '../errors.ts'
import { openCluster } from './cluster.ts'
import { protocol } from './internals.ts'

/** The bit of the operation WRITE (org.apache.kafka AclOperation) among the allowed operations. */
const WRITE = 1 << 4

/**
 * Whether this user may write to each of these topics, without writing. Topics that do not exist or
 * are not visible to this user are left out. Rejects while Kafka is unavailable. Always uses
 * @platformatic/kafka, because kafkajs cannot request the allowed operations of a topic.
 */
export async function fetchWriteRights(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<Map<string, boolean>> {
  await using cluster = openCluster(options)
  try {
    const response = await cluster.askAny(connection =>
      protocol.metadata.async(connection, [...topics], false, true),
    )
    const visible = response.topics.filter(({ errorCode }) => errorCode === 0)
    return new Map(
      visible.map(({ name, topicAuthorizedOperations: allowed }) => [
        name ?? '',
        (allowed & WRITE) !== 0,
      ]),
    )
  } catch (error) {
    throw new Error(describeError(error, options.brokers), { cause: error })
  }
}
