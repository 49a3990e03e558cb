import { createPartitioner } from '../../../config/event/partitioner.ts'
import {
  type Batch,
  type EventSink,
  type KnownFate,
  SinkUnavailable,
} from '../../ports/event-sink.ts'
import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { type RetryOptions, retryOrNull } from '../../retry/retry.ts'
import type { Effect } from '../state/state.ts'

/** Tells on a record what it is about, so that a second one can be told. */
const ID_HEADER = 'sluice-effect'
const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

export type BatchProducerOptions = {
  sink: EventSink
  partitionsOf(topic: string): Promise<number>
  signal: AbortSignal
  /** It cannot be sent now, or null: it can again. */
  onAway(reason: string | null): void
}

/**
 * Gives what sends effects of one topic, the identical batch again until the fate of each is known;
 * null when `signal` aborted before, or `isOver`, which must not reject, says that they are
 * another's now. One call at a time.
 */
export function createBatchProducer({ sink, partitionsOf, signal, onAway }: BatchProducerOptions) {
  const options: RetryOptions = {
    ...{
      circuit: createCircuitBreaker(BACKOFF),
      signal,
      onFailed: onAway,
      onRecovered: () => onAway(null),
    },
    isRetryable: error => error instanceof SinkUnavailable,
  }
  const places = new Map<string, ReturnType<typeof createPartitioner>>()

  const batchOf = async (topic: string, effects: readonly Effect[]): Promise<Batch> => {
    const place = places.get(topic) ?? createPartitioner(await partitionsOf(topic))
    places.set(topic, place)
    const records = effects.map(({ id, key, value }) => ({
      ...place(key),
      value,
      headers: { [ID_HEADER]: id },
    }))
    return { topic, records }
  }
  return async (
    topic: string,
    effects: readonly Effect[],
    isOver: () => Promise<boolean> = async () => false,
  ): Promise<KnownFate[] | null> => {
    const batch = await batchOf(topic, effects)
    let isTried = false
    const send = async () => {
      if (await isOver()) {
        // Another batch must not go through the producer that has tried this one.
        if (isTried) await sink.isolate(batch).sink[Symbol.asyncDispose]()
        throw new Over()
      }
      isTried = true
      return sink.send(batch)
    }
    try {
      return await retryOrNull(send, options)
    } catch (error) {
      if (error instanceof Over) return null
      throw error
    }
  }
}

class Over extends Error {}
