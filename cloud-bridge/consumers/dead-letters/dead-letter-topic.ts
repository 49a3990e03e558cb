import type { EventStream, ReadRecord } from '../../ports/event-stream.ts'
import type { ConsumerDeadLetter } from '../runtime/dead-letter.ts'

/** What became of a letter, as it is noted behind it in its topic. */
export type Resolution = { kind: 'retried' | 'dropped'; id: string; at: number }

/** A dead letter as it stands in Kafka, and what became of it. */
export type TopicDeadLetter = { id: string; at: number; state: 'open' | Resolution['kind'] } & (
  | { from: 'consumer'; detail: ConsumerDeadLetter; bytes: Buffer }
  | { from: 'gateway'; detail: GatewayDeadLetter; bytes: Buffer | null }
)

/** A message that a gateway could not read, as the bridge sent it. */
export type GatewayDeadLetter = {
  gateway: string
  /** The outbox, as hex, and its number among the notes there. */
  store: string
  sequence: number
  reason: string
  place: string
  topic: string
}

/** There is no topic of that name that we may read. */
export class MissingTopic extends Error {}

const READ_AT_ONCE = 5000

/**
 * The dead letters of a topic, oldest first in each partition, with what became of each: of those
 * that gateways wrote, also what the ledger says. Rejects with NoTopic, or while Kafka is away.
 */
export async function* readDeadLetters(
  stream: EventStream,
  topics: { deadletters: string; ledger: string },
): AsyncGenerator<TopicDeadLetter> {
  const settled = new Map<string, Resolution['kind']>()
  const note = ({ value }: ReadRecord) => {
    const settlement = settlementIn(value)
    if (settlement) settled.set(settlement.id, settlement.kind)
  }
  for (const topic of [topics.ledger, topics.deadletters]) {
    try {
      for await (const records of recordsIn(stream, topic)) records.forEach(note)
    } catch (error) {
      // Without a ledger no gateway has told what became of its letters.
      if (!(error instanceof MissingTopic) || topic === topics.deadletters) throw error
    }
  }
  for await (const records of recordsIn(stream, topics.deadletters)) {
    for (const { value } of records) {
      const letter = letterIn(value)
      if (letter) yield { ...letter, state: settled.get(letter.id) ?? 'open' }
    }
  }
}

/** All records of a topic by now, some at a time. */
async function* recordsIn(stream: EventStream, topic: string): AsyncGenerator<ReadRecord[]> {
  const stretch = (await stream.topicOffsets([topic])).get(topic)
  if (!stretch) throw new MissingTopic(topic)
  const next = new Map(stretch.begin)
  for (;;) {
    const to = new Map<number, number>()
    for (const [partition, end] of stretch.end) {
      const from = next.get(partition) ?? 0
      if (from < end) to.set(partition, Math.min(end, from + READ_AT_ONCE))
    }
    if (to.size === 0) return
    const records: ReadRecord[] = []
    await stream.readBetween(topic, next, to, record => records.push(record))
    yield records
    for (const [partition, end] of to) next.set(partition, end)
  }
}

function settlementIn(value: Buffer): Resolution | null {
  const note = parse(value)
  const { kind, id, at, store, content } = note
  if (kind !== 'retried' && kind !== 'dropped') return null
  if (typeof id === 'string') return { kind, id, at: Number(at) }
  // A gateway's own note of what became of a letter of its outbox.
  const { deadletter } = (content ?? {}) as { deadletter?: unknown }
  return deadletter === undefined
    ? null
    : { kind, id: gatewayId(store, deadletter), at: Number(at) }
}

type Bare<Kind> = Kind extends unknown ? Omit<Kind, 'state'> : never

/** Anything else in the topic is not ours. */
function letterIn(value: Buffer): Bare<TopicDeadLetter> | null {
  const note = parse(value)
  if (note.kind === 'unusable') {
    const letter = note as ConsumerDeadLetter
    const bytes = Buffer.from(String(letter.value), 'base64')
    return {
      id: String(letter.id),
      at: Number(letter.buriedAt),
      from: 'consumer',
      detail: letter,
      bytes,
    }
  }
  if (note.kind !== 'deadletter') return null
  const { gateway, store, sequence, at, content } = note as GatewayDeadLetter & {
    at: number
    content?: Record<string, string | null>
  }
  const { reason, place, topic, payload } = content ?? {}
  const texts = { reason: String(reason), place: String(place ?? ''), topic: String(topic) }
  return {
    ...{ id: gatewayId(store, sequence), at: Number(at), from: 'gateway' },
    detail: {
      gateway: String(gateway),
      store: String(store),
      sequence: Number(sequence),
      ...texts,
    },
    bytes: typeof payload === 'string' ? Buffer.from(payload, 'base64') : null,
  }
}

const gatewayId = (store: unknown, sequence: unknown) => `gateway/${store}/${sequence}`

function parse(value: Buffer): Record<string, unknown> {
  try {
    const note = JSON.parse(value.toString())
    return typeof note === 'object' && note !== null ? note : {}
  } catch {
    return {}
  }
}
