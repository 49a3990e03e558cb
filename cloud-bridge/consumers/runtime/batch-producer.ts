import { createPartitioner } from '../../../config/event/partitioner.ts'
import { NoSuchTopic } from '../../kafka/client.ts'
import {
  type Batch,
  type EventSink,
  type KnownFate,
  SinkUnavailable,
} from '../../ports/event-sink.ts'
import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { type RetryOptions, retryOrNull } from '../../retry/retry.ts'
import type { Effect } from '../state/state.ts'

/** A header with the effect's id, by which a reader recognises a repetition. */
const ID_HEADER = 'sluice-effect'
const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

export type BatchProducerOptions = {
  sink: EventSink
  partitionsOf(topic: string): Promise<number>
  signal: AbortSignal
  /** Called with the reason of each failed attempt, and with null when sending works again. */
  onUnavailable(reason: string | null): void
}

/**
 * Creates a function that sends effects of one topic as a batch. The function repeats the identical
 * batch until the fate of each record is known. It resolves with null when `signal` aborts before
 * that, or when `isLost` says that another member owns the effects now. `isLost` must not reject. A
 * caller must wait for a call before the next call.
 */
export function createBatchProducer(options: BatchProducerOptions) {
  const { sink, partitionsOf, signal, onUnavailable } = options
  const retryOptions: RetryOptions = {
    ...{ circuit: createCircuitBreaker(BACKOFF), signal },
    onFailed: onUnavailable,
    onRecovered: () => onUnavailable(null),
    isRetryable: error => error instanceof SinkUnavailable,
  }
  const partitioners = new Map<string, ReturnType<typeof createPartitioner>>()

  const countPartitions = (topic: string) =>
    partitionsOf(topic).catch((error: Error) => {
      const cure =
        error instanceof NoSuchTopic ? '. Create it: ./sluice doctor --create-topics' : ''
      throw new Error(`topic ${topic}: ${error.message}${cure}`, { cause: error })
    })
  const createBatch = async (topic: string, effects: readonly Effect[]): Promise<Batch> => {
    const partition = partitioners.get(topic) ?? createPartitioner(await countPartitions(topic))
    partitioners.set(topic, partition)
    const records = effects.map(({ id, key, value }) => ({
      ...partition(key),
      value,
      headers: { [ID_HEADER]: id },
    }))
    return { topic, records }
  }
  return async (
    topic: string,
    effects: readonly Effect[],
    isLost: () => Promise<boolean> = async () => false,
  ): Promise<KnownFate[] | null> => {
    const batch = await createBatch(topic, effects)
    let isTried = false
    const send = async () => {
      if (await isLost()) {
        // The next batch needs a new producer: this producer has given its sequence numbers to this
        // batch.
        if (isTried) await sink.isolate(batch).sink[Symbol.asyncDispose]()
        throw new OwnershipLost()
      }
      isTried = true
      return sink.send(batch)
    }
    try {
      return await retryOrNull(send, retryOptions)
    } catch (error) {
      if (error instanceof OwnershipLost) return null
      throw error
    }
  }
}

class OwnershipLost extends Error {}
