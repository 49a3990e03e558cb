import { createPartitioner } from '../../../config/event/partitioner.ts'
import type { KnownFate, OutgoingRecord, Sender } from '../../ports/event-sink.ts'
import { sendWithRetries } from '../../retry/bounded-send.ts'
import { ATTEMPTS_HEADER } from '../runtime/dead-letter.ts'
import type { Resolution, TopicDeadLetter } from './dead-letter-topic.ts'

export type ResolverOptions = {
  sink: Sender
  topics: { backfill: string; deadletters: string }
  partitionsOf(topic: string): Promise<number>
}

export type ResolutionAction = 'retry' | 'drop'

/**
 * Creates a function that retries or drops dead letters. The function resolves with one entry for
 * each dead letter: null after success, or the reason why the dead letter stays unchanged. A retry
 * sends the unchanged record to the backfill topic. Consumers that processed the event drop the
 * record as a duplicate. The consumer that dead-lettered the event processes the record, because
 * that consumer has not recorded the event as seen. The outcome is stored after the send. So an
 * interrupted retry is repeated, which is idempotent. Rejects with SinkUnavailable when Kafka stays
 * unavailable.
 */
export async function createResolver({ sink, topics, partitionsOf }: ResolverOptions) {
  const partition = createPartitioner(await partitionsOf(topics.deadletters))

  const resolutionRecord = (kind: Resolution['kind'], { id }: TopicDeadLetter): OutgoingRecord => {
    const value = Buffer.from(JSON.stringify({ kind, id, at: Date.now() } satisfies Resolution))
    return { ...partition(id), value }
  }
  const send = async (topic: string, records: readonly OutgoingRecord[]): Promise<KnownFate[]> => {
    if (records.length === 0) return []
    return await sendWithRetries(sink, { topic, records })
  }
  return async (
    action: ResolutionAction,
    letters: readonly TopicDeadLetter[],
  ): Promise<KnownFate[]> => {
    const obstacles = letters.map(letter => obstacleTo(action, letter))
    const open = letters.filter((_, index) => obstacles[index] === null)
    const retried = action === 'retry' ? open.flatMap(retryRecord) : []
    const fates = await send(topics.backfill, retried)
    const sent = open.filter((_, index) => (fates[index] ?? null) === null)
    const kind = action === 'retry' ? 'retried' : 'dropped'
    const outcomeFates = await send(
      topics.deadletters,
      sent.map(letter => resolutionRecord(kind, letter)),
    )
    const reasons = new Map<TopicDeadLetter, KnownFate>()
    for (const [index, letter] of open.entries()) reasons.set(letter, fates[index] ?? null)
    for (const [index, letter] of sent.entries()) reasons.set(letter, outcomeFates[index] ?? null)
    return letters.map((letter, index) => obstacles[index] ?? reasons.get(letter) ?? null)
  }
}

function obstacleTo(action: ResolutionAction, letter: TopicDeadLetter): string | null {
  if (letter.state !== 'open') return `it was ${letter.state} before`
  if (action === 'drop' || letter.from === 'consumer') return null
  const { gateway, origin } = letter.detail
  if (origin === 'inbox') return 'Kafka refused the event: ./sluice replay sends it once more'
  return `only its gateway can decode it: ./sluice deadletters retry ${letter.id} on ${gateway}`
}

/**
 * The dead-lettered record, unchanged, for the same partition, with the number of attempts so far.
 * Empty for a gateway's dead letter.
 */
function retryRecord(letter: TopicDeadLetter): OutgoingRecord[] {
  if (letter.from !== 'consumer') return []
  const { key, partition, attempts } = letter.detail
  const headers = { [ATTEMPTS_HEADER]: String(attempts) }
  return [{ key: Buffer.from(key ?? ''), partition, value: letter.bytes, headers }]
}
