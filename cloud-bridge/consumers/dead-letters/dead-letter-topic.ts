import { deadLetterId } from '../../../gateway/store/notes/dead-letter-id.ts'
import type { EventStream, ReadRecord, TopicOffsets } from '../../ports/event-stream.ts'
import type { ConsumerDeadLetter } from '../runtime/dead-letter.ts'

/**
 * The outcome of a retry or drop, stored as JSON after the dead letter in the same topic. `at` is
 * ms since 1970.
 */
export type Resolution = { kind: 'retried' | 'dropped'; id: string; at: number }

/** A dead letter in Kafka, and whether it is open or was resolved. `at` is ms since 1970. */
export type TopicDeadLetter = { id: string; at: number; state: 'open' | Resolution['kind'] } & (
  | { from: 'consumer'; detail: ConsumerDeadLetter; bytes: Buffer }
  | { from: 'gateway'; detail: GatewayDeadLetter; bytes: Buffer | null }
)

/** A message that a gateway dead-lettered, as the bridge sent it. */
export type GatewayDeadLetter = {
  gateway: string
  /**
   * The id of the file that stores the dead letter, in hex; the run that wrote the dead letter,
   * null for dead letters of early versions; and its number among the notes of the file.
   */
  store: string
  run: number | null
  sequence: number
  /** The gateway's outbox, or the inbox: the bridge dead-letters an event that Kafka refuses. */
  origin: 'outbox' | 'inbox'
  reason: string
  place: string
  topic: string
}

/** Kafka has no topic of that name, or this user is not allowed to read it. */
export class MissingTopic extends Error {}

const BATCH_MAX_OFFSETS = 5000

/**
 * Reads the dead letters of a topic, oldest first in each partition, with the state of each. The
 * outcome for a gateway's dead letter can also be in the ledger topic. Rejects with MissingTopic
 * when the topic of dead letters does not exist, and rejects while Kafka is unavailable.
 */
export async function* readDeadLetters(
  stream: EventStream,
  topics: { deadletters: string; ledger: string },
): AsyncGenerator<TopicDeadLetter> {
  const resolved = new Map<string, Resolution['kind']>()
  for (const topic of [topics.ledger, topics.deadletters]) {
    try {
      for await (const records of readBatches(stream, topic)) {
        for (const { value } of records) {
          const resolution = decodeResolution(value)
          if (resolution) resolved.set(resolution.id, resolution.kind)
        }
      }
    } catch (error) {
      // Without a ledger topic no gateway has reported an outcome.
      if (!(error instanceof MissingTopic) || topic === topics.deadletters) throw error
    }
  }
  for await (const records of readBatches(stream, topics.deadletters)) {
    for (const { value } of records) {
      const letter = decodeDeadLetter(value)
      if (letter) yield { ...letter, state: resolved.get(letter.id) ?? 'open' }
    }
  }
}

/** Reads the records of a topic up to its current end, in batches. */
async function* readBatches(stream: EventStream, topic: string): AsyncGenerator<ReadRecord[]> {
  const offsets = (await stream.topicOffsets([topic])).get(topic)
  if (!offsets) throw new MissingTopic(topic)
  const next = new Map(offsets.begin)
  for (;;) {
    const batchEnd = batchEndOf(offsets, next)
    if (batchEnd.size === 0) return
    const records: ReadRecord[] = []
    await stream.readBetween(topic, next, batchEnd, record => records.push(record))
    yield records
    for (const [partition, end] of batchEnd) next.set(partition, end)
  }
}

function batchEndOf({ end }: TopicOffsets, next: ReadonlyMap<number, number>) {
  const batchEnd = new Map<number, number>()
  for (const [partition, last] of end) {
    const from = next.get(partition) ?? 0
    if (from < last) batchEnd.set(partition, Math.min(last, from + BATCH_MAX_OFFSETS))
  }
  return batchEnd
}

function decodeResolution(value: Buffer): Resolution | null {
  const { kind, id, at, store, content } = parse(value)
  if (kind !== 'retried' && kind !== 'dropped') return null
  if (typeof id === 'string') return { kind, id, at: Number(at) }
  // A gateway's note about the outcome for a dead letter of its outbox.
  const { deadletter, deadletterRun } = (content ?? {}) as Record<string, unknown>
  if (deadletter === undefined) return null
  const number = Number(deadletter)
  const identity = { store: String(store), run: runOf(deadletterRun), number }
  return { kind, id: deadLetterId(identity), at: Number(at) }
}

type WithoutState<Letter> = Letter extends unknown ? Omit<Letter, 'state'> : never

/** Returns null for a value that is not a dead letter. */
function decodeDeadLetter(value: Buffer): WithoutState<TopicDeadLetter> | null {
  const note = parse(value)
  if (note.kind === 'unusable') {
    const detail = note as ConsumerDeadLetter
    const bytes = Buffer.from(String(detail.value), 'base64')
    return { id: String(detail.id), at: Number(detail.buriedAt), from: 'consumer', detail, bytes }
  }
  if (note.kind !== 'deadletter') return null
  const { gateway, store, run, sequence, origin, at, content } = note as GatewayDeadLetter & {
    at: number
    content?: Record<string, string | null>
  }
  const { reason, place, topic, payload } = content ?? {}
  const texts = { reason: String(reason), place: String(place ?? ''), topic: String(topic) }
  const identity = { store: String(store), run: runOf(run) }
  const number = Number(sequence)
  const isOfInbox = origin === 'inbox'
  const source = { gateway: String(gateway), ...identity, sequence: number }
  return {
    ...{ id: deadLetterId({ ...identity, number }), at: Number(at), from: 'gateway' },
    detail: { ...source, origin: isOfInbox ? 'inbox' : 'outbox', ...texts },
    bytes: typeof payload === 'string' ? Buffer.from(payload, 'base64') : null,
  }
}

const runOf = (run: unknown) => (typeof run === 'number' ? run : null)

function parse(value: Buffer): Record<string, unknown> {
  try {
    const note = JSON.parse(value.toString())
    return typeof note === 'object' && note !== null ? note : {}
  } catch {
    return {}
  }
}
