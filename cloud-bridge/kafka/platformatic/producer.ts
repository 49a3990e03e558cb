import type { Broker } from '@platformatic/kafka'
import type { Batch } from '../../ports/event-sink.ts'
import type { KafkaOptions } from '../client.ts'
import { isProducerInvalid } from '../errors.ts'
import type { BatchPart, Producer } from '../sink.ts'
import { openCluster, type PartitionLeaders } from './cluster.ts'
import { initProducerState, type ProducerState, produce } from './produce-request.ts'

type Fate = readonly [part: BatchPart, failure: unknown]

/**
 * An idempotent producer on the library's protocol: one request to each leader, and the answer for
 * each partition decides about that partition alone. What was not answered for goes out again under
 * the same numbers, whatever connection or broker it then takes, so Kafka writes it once.
 *
 * Not on the library's own Producer, because that drops its numbers with every send it rejects;
 * goes on sending to one broker what one led when the send began, though a leader change gave it to
 * several (measured: for ever); and keeps every error of an outage in memory until it ends.
 */
export function openProducer(options: KafkaOptions): Producer {
  const cluster = openCluster(options)
  const known = new Map<string, PartitionLeaders>()
  /** Partitions that a request of several was not answered for: one of them may be to blame. */
  const inDoubt = new Set<number>()
  let numbers: ProducerState | null = null

  const leadersOf = async (topic: string): Promise<PartitionLeaders> => {
    const leaders = known.get(topic) ?? (await cluster.leadersOf(topic))
    known.set(topic, leaders)
    return leaders
  }

  const sendTo = async (
    leader: Broker,
    own: ProducerState,
    batch: Batch,
    led: readonly BatchPart[],
  ) => {
    const partitionOf = (part: BatchPart) => batch.records[part[0]!]!.partition
    const request = async (parts: readonly BatchPart[]): Promise<Fate[]> => {
      try {
        const failures = await produce(cluster, leader, options, own, batch, parts)
        for (const part of parts) inDoubt.delete(partitionOf(part))
        return parts.map((part, index) => [part, failures[index]])
      } catch (error) {
        if (parts.length > 1) for (const part of parts) inDoubt.add(partitionOf(part))
        return parts.map(part => [part, error])
      }
    }
    const alone = led.filter(part => inDoubt.has(partitionOf(part)))
    const together = led.filter(part => !alone.includes(part))
    const fates = together.length > 0 ? await request(together) : []
    for (const part of alone) fates.push(...(await request([part])))
    return fates
  }

  return {
    async send(batch, parts) {
      const { topic, records } = batch
      try {
        const leaders = await leadersOf(topic)
        numbers ??= await initProducerState(cluster)
        const own = numbers
        const byLeader = Map.groupBy(parts, part => leaders.of(records[part[0]!]!.partition))
        const sending = [...byLeader].map(async ([leader, led]): Promise<Fate[]> => {
          if (leader) return sendTo(leader, own, batch, led)
          return led.map(part => [part, new Error(`no broker leads a partition of ${topic}`)])
        })
        const fates = new Map((await Promise.all(sending)).flat())
        const failures = [...fates.values()].filter(failure => failure !== null)
        if (failures.length > 0) known.delete(topic)
        if (failures.some(isProducerInvalid)) numbers = null
        return parts.map(part => fates.get(part))
      } catch (error) {
        return parts.map(() => error)
      }
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}
