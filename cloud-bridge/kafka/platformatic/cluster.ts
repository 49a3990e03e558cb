import type { KafkaOptions } from '../client.ts'
import { configuredBrokers, connectionOptions } from './configuration.ts'
import {
  type Broker,
  type Connection,
  ConnectionPool,
  closePool,
  connectionError,
  NetworkError,
  ProtocolError,
  protocol,
  responseIn,
} from './internals.ts'

/**
 * A topic's partition count and the leader of each partition; null for a partition without a
 * leader.
 */
export type PartitionLeaders = { count: number; of(partition: number): Broker | null }

type Request<T> = (connection: Connection) => Promise<T>

export type Cluster = AsyncDisposable & {
  /**
   * Sends a request to a broker. The response may contain error codes. Rejects when no response
   * arrives.
   */
  ask<T>(broker: Broker, request: Request<T>): Promise<T>
  /** Sends a request to one broker after the other, until one responds. */
  askAny<T>(request: Request<T>): Promise<T>
  /**
   * The current leaders of a topic's partitions. Rejects with a ProtocolError when the topic does
   * not exist or is not visible to this user; with another error when no broker responds.
   */
  leadersOf(topic: string): Promise<PartitionLeaders>
}

/**
 * The known brokers of a cluster, over one connection each. Uses the library's connections and
 * protocol, but not its Producer and Consumer; producer.ts and membership.ts say why.
 */
export function openCluster(options: KafkaOptions): Cluster {
  const pool = new ConnectionPool(options.clientId, connectionOptions(options))
  let brokers = configuredBrokers(options)

  const ask: Cluster['ask'] = async <T>(broker: Broker, request: Request<T>) => {
    const connection = await pool.get(broker)
    // A broken connection emits the cause as an event, and rejects its requests without the cause.
    let cause: Error | undefined
    const onError = (error: Error) => {
      cause = error
    }
    connection.on('error', onError)
    try {
      return await request(connection)
    } catch (error) {
      const response = responseIn(error)
      if (response !== null) return response as T
      if (!(error instanceof NetworkError)) throw error
      throw connectionError(broker, cause ?? error)
    } finally {
      connection.off('error', onError)
    }
  }

  const askAny: Cluster['askAny'] = async request => {
    let failure: unknown
    for (const broker of brokers) {
      try {
        return await ask(broker, request)
      } catch (error) {
        failure = error
        // A broker that accepts connections but does not respond costs a timeout, so it is tried
        // last from now on.
        brokers = [...brokers.filter(other => other !== broker), broker]
      }
    }
    throw failure
  }

  return {
    ask,
    askAny,
    async leadersOf(topic) {
      const response = await askAny(connection =>
        protocol.metadata.async(connection, [topic], false),
      )
      const { errorCode, partitions } = response.topics[0]!
      if (errorCode !== 0) throw new ProtocolError(errorCode)
      const addresses = new Map(
        response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]),
      )
      for (const { host, port } of addresses.values()) {
        const isKnown = brokers.some(known => known.host === host && known.port === port)
        if (!isKnown) brokers = [...brokers, { host, port }]
      }
      const leaders = new Map(
        partitions.map(({ partitionIndex, leaderId }) => [
          partitionIndex,
          addresses.get(leaderId) ?? null,
        ]),
      )
      return { count: partitions.length, of: partition => leaders.get(partition) ?? null }
    },
    [Symbol.asyncDispose]: () => closePool(pool),
  }
}
