import { keyOf } from '../state/row-keys.ts'
import type { Effect } from '../state/state.ts'
import type { UnusableRecord } from './record-decoder.ts'

/** Tells, on a record that is sent again, how often it was buried. */
export const ATTEMPTS_HEADER = 'sluice-attempts'

/** In base64 a third more, which is still below the 1 MiB that Kafka takes. */
/** A zone's name is shorter; a longer one is none of ours. */
const KEY_MAX_BYTES = 4096
const VALUE_MAX_BYTES = 700_000

/** A record that a consumer buried, as it stands in the topic of dead letters. */
export type ConsumerDeadLetter = {
  kind: 'unusable'
  id: string
  consumer: string
  topic: string
  partition: number
  offset: number
  reason: string
  /** How often it was tried, this time included. */
  attempts: number
  heardAt: number
  buriedAt: number
  key: string | null
  /** Its bytes in base64; null: too many for a record, so they stand at its offset alone. */
  value: string | null
}

/** A record that was put aside, on its way to the topic of dead letters. */
export function createDeadLetter(
  { record, reason }: UnusableRecord,
  at: { consumer: string; topic: string; deadletters: string },
): Effect {
  const { partition, offset, appendTimeMs: heardAt, key, value, headers } = record
  const id = keyOf('unusable', at.consumer, at.topic, String(partition), String(offset))
  const before = Number(headers[ATTEMPTS_HEADER]?.toString() ?? 0)
  const letter: ConsumerDeadLetter = {
    kind: 'unusable',
    id: `${at.consumer}/${at.topic}/${partition}/${offset}`,
    ...{ consumer: at.consumer, topic: at.topic, partition, offset, reason, heardAt },
    attempts: (Number.isSafeInteger(before) ? before : 0) + 1,
    buriedAt: Date.now(),
    key: key && key.length <= KEY_MAX_BYTES ? key.toString() : null,
    value: value.length > VALUE_MAX_BYTES ? null : value.toString('base64'),
  }
  return { id, topic: at.deadletters, key: at.consumer, value: Buffer.from(JSON.stringify(letter)) }
}
