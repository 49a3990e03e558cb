import { setTimeout as sleep } from 'node:timers/promises'
import { createPartitioner } from '../../../config/event/partitioner.ts'
import {
  type KnownFate,
  type OutgoingRecord,
  type Sender,
  SinkUnavailable,
} from '../../ports/event-sink.ts'
import { ATTEMPTS_HEADER } from '../runtime/dead-letter.ts'
import type { Resolution, TopicDeadLetter } from './dead-letter-topic.ts'

const ATTEMPTS = 20
const RETRY_MS = 500

export type ResolverOptions = {
  sink: Sender
  topics: { backfill: string; deadletters: string }
  partitionsOf(topic: string): Promise<number>
}

/**
 * Gives what retries or drops letters that are open, and says of each why it stays as it was, or
 * null. A retry sends the record again as it was, to the topic of backlogs: who had it drops it as
 * a duplicate, who buried it takes it, because a buried one did not count. What became of a letter
 * is noted when that is done, so what breaks off in between is done again, which changes nothing.
 * Rejects with SinkUnavailable when Kafka stays away.
 */
export async function createResolver({ sink, topics, partitionsOf }: ResolverOptions) {
  const place = createPartitioner(await partitionsOf(topics.deadletters))

  const note = (kind: Resolution['kind'], { id }: TopicDeadLetter): OutgoingRecord => {
    const value = Buffer.from(JSON.stringify({ kind, id, at: Date.now() } satisfies Resolution))
    return { ...place(id), value }
  }
  const send = async (topic: string, records: readonly OutgoingRecord[]): Promise<KnownFate[]> => {
    if (records.length === 0) return []
    const batch = { topic, records }
    for (let attempt = 1; ; attempt++) {
      try {
        return await sink.send(batch)
      } catch (error) {
        if (!(error instanceof SinkUnavailable) || attempt === ATTEMPTS) throw error
        await sleep(RETRY_MS)
      }
    }
  }
  return async (
    what: 'retry' | 'drop',
    letters: readonly TopicDeadLetter[],
  ): Promise<KnownFate[]> => {
    const reasons = letters.map(letter => reasonAgainst(what, letter))
    const open = letters.filter((_, at) => reasons[at] === null)
    const records = what === 'retry' ? open.flatMap(recordOf) : []
    const sent = await send(topics.backfill, records)
    const done = open.filter((_, at) => (sent[at] ?? null) === null)
    const kind = what === 'retry' ? 'retried' : 'dropped'
    const noted = await send(
      topics.deadletters,
      done.map(letter => note(kind, letter)),
    )
    const fates = new Map<TopicDeadLetter, KnownFate>()
    for (const [at, letter] of open.entries()) fates.set(letter, sent[at] ?? null)
    for (const [at, letter] of done.entries()) fates.set(letter, noted[at] ?? null)
    return letters.map((letter, at) => reasons[at] ?? fates.get(letter) ?? null)
  }
}

function reasonAgainst(what: 'retry' | 'drop', letter: TopicDeadLetter): KnownFate {
  if (letter.state !== 'open') return `it was ${letter.state} before`
  if (what === 'drop' || letter.from === 'consumer') return null
  const { gateway, sequence } = letter.detail
  return `only its gateway can decode it: ./sluice deadletters retry ${sequence} on ${gateway}`
}

/** As it was, to the same partition, with how often it was buried. */
function recordOf(one: TopicDeadLetter): OutgoingRecord[] {
  if (one.from !== 'consumer') return []
  const { key, partition, attempts } = one.detail
  const headers = { [ATTEMPTS_HEADER]: String(attempts) }
  return [{ key: Buffer.from(key ?? ''), partition, value: one.bytes, headers }]
}
