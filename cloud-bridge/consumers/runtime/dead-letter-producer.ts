import { type Effect, StateUnavailable } from '../state/state.ts'
import { rejectOnAbort } from './abortable.ts'
import { type BatchProducerOptions, createBatchProducer } from './batch-producer.ts'
import { createSerialQueue } from './serial-queue.ts'

export type DeadLetterProducerOptions = BatchProducerOptions & {
  /** Called when Kafka rejects a dead letter for good. */
  onRejected(letter: Effect, reason: string): void
}

/**
 * Resolves when Kafka has accepted or rejected each dead letter. Rejects when `signal` aborts.
 * Rejects with StateUnavailable when the partitions of the topic of dead letters cannot be read.
 */
export type SendDeadLetters = (letters: readonly Effect[], signal: AbortSignal) => Promise<void>

/**
 * Sends dead letters for a consumer that has no state in which to store them until they are sent.
 * Calls are served one after the other; each caller continues as soon as Kafka has its own dead
 * letters.
 */
export function createDeadLetterProducer(options: DeadLetterProducerOptions): SendDeadLetters {
  const { signal, onRejected } = options
  const produceBatch = createBatchProducer(options)
  const queue = createSerialQueue()

  const send = async (letters: readonly Effect[]) => {
    for (const [topic, batch] of Map.groupBy(letters, ({ topic }) => topic)) {
      const fates = await produceBatch(topic, batch).catch((error: Error) => {
        const message = `cannot send dead letters to topic ${topic}: ${error.message}`
        throw new StateUnavailable(message, { cause: error })
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
