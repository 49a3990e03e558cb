import { keyOf } from '../state/row-keys.ts'
import type { Effect } from '../state/state.ts'
import type { UnusableRecord } from './record-decoder.ts'

/** A header of a retried record: how often the record was dead-lettered. */
export const ATTEMPTS_HEADER = 'sluice-attempts'

/**
 * The key of an event is its zone, which is shorter. A longer key is left out of the dead letter.
 */
const KEY_MAX_BYTES = 4096
/** Base64 adds a third, and the dead letter stays below the 1 MiB that Kafka accepts. */
const VALUE_MAX_BYTES = 700_000

/** A record that a consumer dead-lettered, as its JSON in the topic of dead letters. */
export type ConsumerDeadLetter = {
  kind: 'unusable'
  id: string
  consumer: string
  topic: string
  partition: number
  offset: number
  reason: string
  /** How often the consumer tried to process the record, this time included. */
  attempts: number
  /** The record's append time, ms since 1970. */
  heardAt: number
  /** When the consumer dead-lettered the record, ms since 1970. */
  buriedAt: number
  key: string | null
  /**
   * The record's bytes in base64; null when they are more than `VALUE_MAX_BYTES`. Then only the
   * record at `offset` has the bytes.
   */
  value: string | null
}

/** The effect that sends an unusable record to the topic of dead letters. */
export function createDeadLetter(
  { record, reason }: UnusableRecord,
  source: { consumer: string; topic: string; deadLetterTopic: string },
): Effect {
  const { partition, offset, appendTimeMs, key, value, headers } = record
  const { consumer, topic } = source
  const id = keyOf('unusable', consumer, topic, String(partition), String(offset))
  const attempts = Number(headers[ATTEMPTS_HEADER]?.toString() ?? 0)
  const letter: ConsumerDeadLetter = {
    kind: 'unusable',
    id: `${consumer}/${topic}/${partition}/${offset}`,
    ...{ consumer, topic, partition, offset, reason, heardAt: appendTimeMs },
    attempts: (Number.isSafeInteger(attempts) ? attempts : 0) + 1,
    buriedAt: Date.now(),
    key: key && key.length <= KEY_MAX_BYTES ? key.toString() : null,
    value: value.length > VALUE_MAX_BYTES ? null : value.toString('base64'),
  }
  return {
    id,
    topic: source.deadLetterTopic,
    key: consumer,
    value: Buffer.from(JSON.stringify(letter)),
  }
}
