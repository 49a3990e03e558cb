import {
  type Broker,
  type Connection,
  ConnectionPool,
  metadataV9,
  NetworkError,
  ProtocolError,
  ResponseError,
} from '@platformatic/kafka'
import type { KafkaOptions } from '../client.ts'
import { configuredBrokers, connectionOptions } from './configuration.ts'

/** A topic's partitions, and at which broker each is written and read; null while at none. */
export type PartitionLeaders = { count: number; of(partition: number): Broker | null }

export type Cluster = AsyncDisposable & {
  /** Asks this broker. Its answer may hold error codes; rejects when there is none in time. */
  ask<T>(broker: Broker, question: (via: Connection) => Promise<T>): Promise<T>
  /** Asks one broker after the other, until one answers. */
  askAny<T>(question: (via: Connection) => Promise<T>): Promise<T>
  /**
   * Who leads a topic's partitions now. Rejects with a ProtocolError when Kafka has no such topic
   * or does not show it; with another error when no broker answers.
   */
  leadersOf(topic: string): Promise<PartitionLeaders>
}

/**
 * The brokers as we have come to know them, each over one connection. On this library's connections
 * and protocol, in versions that Kafka knows since 2.5 and still does in 4; not on its Producer and
 * Consumer (producer.ts says why).
 */
export function openCluster(options: KafkaOptions): Cluster {
  const pool = new ConnectionPool(options.clientId, connectionOptions(options))
  let brokers = configuredBrokers(options)

  const ask: Cluster['ask'] = async (broker, question) => {
    const connection = await pool.get(broker)
    // Why it broke is told to who listens alone, not to who waits for an answer.
    let cause: Error | undefined
    const listen = (error: Error) => {
      cause = error
    }
    connection.on('error', listen)
    try {
      return await question(connection)
    } catch (error) {
      // An answer with an error code for one partition is thrown as a whole.
      if (error instanceof ResponseError) return error.response
      if (!(error instanceof NetworkError)) throw error
      const { host, port } = broker
      throw new NetworkError(`Connection to ${host}:${port} failed.`, { cause: cause ?? error })
    } finally {
      connection.off('error', listen)
    }
  }

  const askAny: Cluster['askAny'] = async question => {
    let failure: unknown
    for (const broker of brokers) {
      try {
        return await ask(broker, question)
      } catch (error) {
        failure = error
        // A broker that accepts and does not answer costs a timeout: it is asked last next time.
        brokers = [...brokers.filter(one => one !== broker), broker]
      }
    }
    throw failure
  }

  return {
    ask,
    askAny,
    async leadersOf(topic) {
      const answer = await askAny(via => metadataV9.api.async(via, [topic], false))
      const { errorCode, partitions } = answer.topics[0]!
      if (errorCode !== 0) throw new ProtocolError(errorCode)
      const addresses = new Map(
        answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]),
      )
      for (const { host, port } of addresses.values()) {
        const isKnown = brokers.some(known => known.host === host && known.port === port)
        if (!isKnown) brokers = [...brokers, { host, port }]
      }
      const leaders = new Map(
        partitions.map(one => [one.partitionIndex, addresses.get(one.leaderId) ?? null]),
      )
      return { count: partitions.length, of: partition => leaders.get(partition) ?? null }
    },
    async [Symbol.asyncDispose]() {
      // What is still to be written to a broker that takes nothing would be waited for.
      for (const [, connection] of pool) connection.socket?.destroy()
      await pool.close()
    },
  }
}

/** Whether the library says that it may go well a moment later. */
export const isRetriable = (error: unknown) => (error as { canRetry?: unknown }).canRetry === true
