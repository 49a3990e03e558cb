import type { Config } from '../../config/config.ts'
import { pause } from '../../config/process/pause.ts'
import { nullOnAbort } from '../consumers/runtime/abortable.ts'
import { describeError } from '../kafka/errors.ts'
import type { StoredRecords } from '../ports/event-sink.ts'
import type { EventStream } from '../ports/event-stream.ts'
import { createKafkaClock } from './kafka-clock.ts'
import { createStoredOffsets, type LostRecords } from './stored-offsets.ts'

const CHECK_EVERY_MS = 30_000

export type KafkaWatch = ReturnType<typeof createKafkaWatch>

export type KafkaWatchOptions = {
  config: {
    kafka: Pick<Config['kafka'], 'topics' | 'brokers'>
    outbox: Pick<Config['outbox'], 'keep'>
  }
  topicOffsets: EventStream['topicOffsets']
  /** Called when the first check fails (with the reason), and when Kafka answers again (null). */
  onChange(reason: string | null): void
  /** How long nothing may be acknowledged before Kafka is checked. */
  checkEveryMs?: number
}

/**
 * Watches Kafka beside the deliveries. While nothing is acknowledged, the watch sends a request to
 * Kafka every 30 s, so that an operator learns of an outage before the next event. Each
 * acknowledgement shows Kafka's clock, and whether Kafka still has the records that Kafka
 * acknowledged before.
 */
export function createKafkaWatch(options: KafkaWatchOptions) {
  const { config, topicOffsets, onChange, checkEveryMs = CHECK_EVERY_MS } = options
  const { topics, brokers } = config.kafka
  const names = Object.values(topics)
  const clock = createKafkaClock(topics.ledger)
  const offsets = createStoredOffsets()
  let answeredAtMs = performance.now()
  let missing: string[] = []
  let away: { sinceMs: number; reason: string } | null = null

  const answered = () => {
    answeredAtMs = performance.now()
    if (away) onChange(null)
    away = null
  }
  const check = async () => {
    try {
      const found = await topicOffsets(names)
      answered()
      missing = names.filter(topic => !found.has(topic))
      offsets.compare(found)
    } catch (error) {
      const reason = describeError(error, brokers)
      if (!away) onChange(reason)
      away = { sinceMs: away?.sinceMs ?? Date.now(), reason }
    }
  }

  return {
    clock,
    /** Must be called for each acknowledgement. */
    stored(records: StoredRecords): void {
      answered()
      missing = missing.filter(topic => topic !== records.topic)
      clock.stored(records)
      offsets.stored(records)
    },
    /** An operator ordered a replay: the alarms about lost events end. */
    replayOrdered(): void {
      for (const topic of [topics.readings, topics.backfill]) offsets.forget(topic)
    },
    /** Problems that a person should fix, a sentence each. */
    alarms(): string[] {
      const awayAlarm =
        away && `Kafka does not answer since ${timeText(away.sinceMs)}: ${away.reason}`
      return [
        ...(awayAlarm ? [awayAlarm] : []),
        ...missing.map(missingAlarm),
        ...offsets.lost.map(lost => lostAlarm(lost, config)),
      ]
    },
    /**
     * Checks Kafka while nothing is acknowledged, until `signal` aborts. A check that still waits
     * for Kafka does not delay the end.
     */
    async run(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        const idleMs = performance.now() - answeredAtMs
        await pause(away ? checkEveryMs : Math.max(1, checkEveryMs - idleMs), signal)
        if (signal.aborted || performance.now() - answeredAtMs < checkEveryMs) continue
        await nullOnAbort(check(), signal)
      }
    },
  }
}

const timeText = (ms: number) => new Date(ms).toISOString()

const missingAlarm = (topic: string) =>
  `topic ${topic} does not exist, or this user may not see the topic: create it ` +
  '(./sluice doctor --create-topics), or grant DESCRIBE (docs/security.md)'

function lostAlarm(
  { topic, partition, acknowledged, end, atMs }: LostRecords,
  { kafka: { topics }, outbox }: KafkaWatchOptions['config'],
): string {
  const what =
    `topic ${topic} lost records that Kafka had acknowledged (noticed ${timeText(atMs)}): ` +
    `partition ${partition} continues at offset ${end}, after offset ${acknowledged}; the topic ` +
    'was deleted and created again, or a replica without all records became the leader'
  if (topic === topics.ledger) {
    return `${what}. ./sluice ledger verify says what can no longer be proven`
  }
  if (topic === topics.deadletters) return `${what}. Its dead letters are gone`
  const from = outbox.keep.hours > 0 ? `-${outbox.keep.hours}h` : 'TIME'
  return (
    `${what}. ./sluice ledger verify names the missing events; ./sluice replay --from ${from} ` +
    'sends the events that the outbox still has, and ends this alarm'
  )
}
