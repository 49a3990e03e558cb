import { type Effect, StateUnavailable } from '../state/state.ts'
import { rejectOnAbort } from './abortable.ts'
import { type BatchProducerOptions, createBatchProducer } from './batch-producer.ts'
import { createSerialQueue } from './serial-queue.ts'

export type DeadLetterProducerOptions = BatchProducerOptions & {
  /** Kafka rejects the dead letter for good. */
  onRejected(letter: Effect, reason: string): void
}

/**
 * Resolves when Kafka has the dead letters. Rejects when `signal` aborts, and with StateUnavailable
 * while the partitions of their topic are unknown.
 */
export type SendDeadLetters = (letters: readonly Effect[], signal: AbortSignal) => Promise<void>

/**
 * Sends dead letters for work without a state that could store them until then. Calls are served
 * one after the other; each caller continues as soon as Kafka has its own dead letters.
 */
export function createDeadLetterProducer(options: DeadLetterProducerOptions): SendDeadLetters {
  const { signal, onRejected } = options
  const produceBatch = createBatchProducer(options)
  const queue = createSerialQueue()

  const send = async (letters: readonly Effect[]) => {
    for (const [topic, batch] of Map.groupBy(letters, ({ topic }) => topic)) {
      const fates = await produceBatch(topic, batch).catch((error: Error) => {
        throw new StateUnavailable(error.message, { cause: error })
      })
      signal.throwIfAborted()
      for (const [index, reason] of (fates ?? []).entries()) {
        if (reason !== null) onRejected(batch[index]!, reason)
      }
    }
  }
  return (letters, aborted) =>
    rejectOnAbort(
      queue.run(() => send(letters)),
      aborted,
    )
}
