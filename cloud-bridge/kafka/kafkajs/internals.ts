/**
 * All that this program uses of kafkajs beside its documented interface. No release promises any of
 * this: the test kafkajs-internals.test.ts fails when an upgrade changes it.
 */
import type { Message } from 'kafkajs'

/** A message whose partition is decided. */
export type PartitionedMessage = Message & { partition: number }

/**
 * The messages of several partitions for `sendBatch`. kafkajs groups messages by `messages.reduce`,
 * which copies all messages of a partition for each further message: O(n²). This array's own
 * `reduce` returns the groups instead. No group may be empty.
 */
export function groupedMessages(groups: readonly PartitionedMessage[][]): Message[] {
  const byPartition = Object.fromEntries(groups.map(group => [group[0]!.partition, group]))
  return Object.assign(groups.flat(), { reduce: () => byPartition })
}

/** Whether kafkajs says that the same request may succeed a moment later. */
export const isRetriable = (error: unknown) => (error as { retriable?: unknown }).retriable === true

/** The host:port of the broker that did not respond in time, or null for another error. */
export function timedOutBroker(error: Error): string | null {
  const { name, broker } = error as Error & { broker?: string }
  return name === 'KafkaJSRequestTimeoutError' ? (broker ?? null) : null
}
