import type { Batch, StoredRecords } from '../../ports/event-sink.ts'
import type { KafkaOptions } from '../client.ts'
import { isProducerInvalid } from '../errors.ts'
import type { BatchPart, Producer } from '../sink.ts'
import { openCluster, type PartitionLeaders } from './cluster.ts'
import type { Broker } from './internals.ts'
import { initProducerState, type ProducerState, produce } from './produce-request.ts'

type PartResult = readonly [part: BatchPart, failure: unknown]

/**
 * An idempotent producer on the library's protocol. Sends one request to each leader; the result of
 * each partition decides about that partition alone. A part without a result is sent again under
 * the same producer id and sequence, over any connection and to any broker: Kafka stores it once.
 *
 * Does not use the library's own Producer, which discards its producer id with every rejected send;
 * which keeps sending to the leader known at the start of a send after the partitions moved to
 * several leaders (measured: endlessly); and which keeps every error of an outage in memory until
 * the outage ends.
 */
export function openProducer(
  options: KafkaOptions,
  onStored: (stored: StoredRecords) => void = () => {},
): Producer {
  const cluster = openCluster(options)
  const leadersByTopic = new Map<string, PartitionLeaders>()
  /**
   * Partitions of a failed request for several partitions: any of them may be the cause, so each is
   * sent alone until the broker responds for it.
   */
  const suspects = new Set<number>()
  let state: ProducerState | null = null

  const leadersOf = async (topic: string): Promise<PartitionLeaders> => {
    const leaders = leadersByTopic.get(topic) ?? (await cluster.leadersOf(topic))
    leadersByTopic.set(topic, leaders)
    return leaders
  }

  const sendToLeader = async (
    leader: Broker,
    sendState: ProducerState,
    batch: Batch,
    parts: readonly BatchPart[],
  ) => {
    const partitionOf = (part: BatchPart) => batch.records[part[0]!]!.partition
    const route = { cluster, leader, onStored }
    const request = async (requested: readonly BatchPart[]): Promise<PartResult[]> => {
      try {
        const failures = await produce(route, options, sendState, batch, requested)
        for (const part of requested) suspects.delete(partitionOf(part))
        return requested.map((part, index) => [part, failures[index]])
      } catch (error) {
        if (requested.length > 1) for (const part of requested) suspects.add(partitionOf(part))
        return requested.map(part => [part, error])
      }
    }
    const separate = parts.filter(part => suspects.has(partitionOf(part)))
    const combined = parts.filter(part => !separate.includes(part))
    const results = combined.length > 0 ? await request(combined) : []
    for (const part of separate) results.push(...(await request([part])))
    return results
  }

  return {
    async send(batch, parts) {
      const { topic, records } = batch
      try {
        const leaders = await leadersOf(topic)
        state ??= await initProducerState(cluster)
        const sendState = state
        const byLeader = Map.groupBy(parts, part => leaders.of(records[part[0]!]!.partition))
        const sending = [...byLeader].map(async ([leader, ownParts]): Promise<PartResult[]> => {
          if (leader) return sendToLeader(leader, sendState, batch, ownParts)
          return ownParts.map(part => [part, withoutLeader(batch, part)])
        })
        const results = new Map((await Promise.all(sending)).flat())
        const failures = [...results.values()].filter(failure => failure !== null)
        if (failures.length > 0) leadersByTopic.delete(topic)
        if (failures.some(isProducerInvalid)) state = null
        return parts.map(part => results.get(part))
      } catch (error) {
        return parts.map(() => error)
      }
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

function withoutLeader({ topic, records }: Batch, part: BatchPart): Error {
  return new Error(`${topic}, partition ${records[part[0]!]!.partition}, has no leader now`)
}
