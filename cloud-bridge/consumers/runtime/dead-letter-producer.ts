import { type Effect, StateAway } from '../state/state.ts'
import { unlessAborted } from './abortable.ts'
import { type SendOptions, startSendWhole } from './batch-producer.ts'

export type BurialOptions = SendOptions & {
  /** Kafka will never take it. */
  onRefused(letter: Effect, reason: string): void
}

/**
 * Resolves when Kafka has the letters. Rejects when `signal` aborted, and with StateAway when
 * nobody can say now where their topic's partitions are.
 */
export type Bury = (letters: readonly Effect[], signal: AbortSignal) => Promise<void>

/**
 * Sends dead letters for works that have no state to keep them in until then. Each works on as soon
 * as Kafka has its own; they go one after the other.
 */
export function startBurial(options: BurialOptions): Bury {
  const { signal, onRefused } = options
  const sendWhole = startSendWhole(options)
  let last: Promise<unknown> = Promise.resolve()

  const send = async (letters: readonly Effect[]) => {
    for (const [topic, some] of Map.groupBy(letters, ({ topic }) => topic)) {
      const fates = await sendWhole(topic, some).catch((error: Error) => {
        throw new StateAway(error.message, { cause: error })
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
    await unlessAborted(sent, aborted)
  }
}
