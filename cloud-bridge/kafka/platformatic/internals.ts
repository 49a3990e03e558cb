/**
 * All that this program uses of @platformatic/kafka beside its documented Admin client: protocol
 * requests in fixed versions, connections, and the internals of errors, batches and compression.
 * No release promises any of them: the test platformatic-internals.test.ts fails when an upgrade
 * changes one.
 */
import {
  type Broker,
  type ConnectionPool,
  compressionsAlgorithms,
  describeConfigsV4,
  fetchV11,
  findCoordinatorV3,
  heartbeatV4,
  initProducerIdV4,
  joinGroupV7,
  leaveGroupV4,
  listOffsetsV5,
  metadataV9,
  NetworkError,
  offsetCommitV8,
  produceV8,
  ResponseError,
  syncGroupV5,
} from '@platformatic/kafka'

export {
  type Broker,
  type Connection,
  ConnectionPool,
  decodeConsumerProtocolAssignment,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  type KafkaRecord,
  type MessageRecord,
  NetworkError,
  NumericMap,
  ProtocolError,
  type RecordsBatch,
} from '@platformatic/kafka'

/**
 * The requests, by Kafka's names for them, in versions that every Kafka from 2.5 to 4 knows
 * (https://kafka.apache.org/protocol). The version decides the arguments and what they mean.
 */
export const protocol = {
  describeConfigs: describeConfigsV4.api,
  fetch: fetchV11.api,
  findCoordinator: findCoordinatorV3.api,
  heartbeat: heartbeatV4.api,
  initProducerId: initProducerIdV4.api,
  joinGroup: joinGroupV7.api,
  leaveGroup: leaveGroupV4.api,
  listOffsets: listOffsetsV5.api,
  metadata: metadataV9.api,
  offsetCommit: offsetCommitV8.api,
  produce: produceV8.api,
  syncGroup: syncGroupV5.api,
}

/**
 * The response to a produce request with acknowledgements; without acknowledgements the library
 * resolves with a boolean.
 */
export type ProduceResponse = produceV8.ProduceResponse

/**
 * Replaces the library's zstd compression, for which there is no setting, in the library's table of
 * compression functions.
 */
export function useZstd(compress: (plain: Buffer) => Buffer): void {
  Object.assign(compressionsAlgorithms.zstd, {
    compressSync: (data: Buffer | { buffer: Buffer }) =>
      compress(Buffer.isBuffer(data) ? data : data.buffer),
  })
}

/**
 * The response in an error, or null: the library throws a response that contains any error code,
 * even when the code is about only one of several partitions.
 */
export function responseIn(error: unknown): unknown {
  return error instanceof ResponseError ? error.response : null
}

/**
 * An error for a broken connection, of the same form as the library's error for a failed connect.
 */
export function connectionError({ host, port }: Broker, cause: Error): NetworkError {
  return new NetworkError(`Connection to ${host}:${port} failed.`, { cause })
}

/** Whether the library says that the same request may succeed a moment later. */
export const isRetriable = (error: unknown) => (error as { canRetry?: unknown }).canRetry === true

/** Closes every connection at once; `pool.close()` alone waits for bytes that nobody reads. */
export async function closePool(pool: ConnectionPool): Promise<void> {
  for (const [, connection] of pool) connection.socket?.destroy()
  await pool.close()
}
