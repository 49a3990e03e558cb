import { type Effect, StateUnavailable } from '../state/state.ts'
import { rejectOnAbort } from './abortable.ts'
import { type BatchProducerOptions, createBatchProducer } from './batch-producer.ts'

export type DeadLetterProducerOptions = BatchProducerOptions & {
  /** Kafka will never take it. */
  onRefused(letter: Effect, reason: string): void
}

/**
 * Resolves when Kafka has the letters. Rejects when `signal` aborted, and with StateAway when
 * nobody can say now where their topic's partitions are.
 */
export type SendDeadLetters = (letters: readonly Effect[], signal: AbortSignal) => Promise<void>

/**
 * Sends dead letters for works that have no state to keep them in until then. Each works on as soon
 * as Kafka has its own; they go one after the other.
 */
export function createDeadLetterProducer(options: DeadLetterProducerOptions): SendDeadLetters {
  const { signal, onRefused } = options
  const sendWhole = createBatchProducer(options)
  let last: Promise<unknown> = Promise.resolve()

  const send = async (letters: readonly Effect[]) => {
    for (const [topic, some] of Map.groupBy(letters, ({ topic }) => topic)) {
      const fates = await sendWhole(topic, some).catch((error: Error) => {
        throw new StateUnavailable(error.message, { cause: error })
      })
      signal.throwIfAborted()
      for (const [at, reason] of (fates ?? []).entries()) {
        if (reason !== null) onRefused(some[at]!, reason)
      }
    }
  }
  return async (letters, aborted) => {
    const sent = last.then(() => send(letters))
    last = sent.catch(() => {})
    await rejectOnAbort(sent, aborted)
  }
}
