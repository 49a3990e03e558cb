import { countText } from '../../config/process/text-format.ts'

const HOUR_MS = 3_600_000
const REPORT_EVERY_MS = 60_000

/** What Kafka rejects: an event, an event that is sent again, or a note (dead letters too). */
export type RejectedKind = 'event' | 'replayed event' | 'note'

/** A record that Kafka rejects for good; `reason` is Kafka's name of the error. */
export type Rejection = { topic: string; kind: RejectedKind; reason: string }

export type RejectionsOptions = {
  /** Called with the alarm at the first rejection, and then at most once a minute. */
  onWarning(text: string): void
  /** Ms since 1970. */
  nowMs?: () => number
}

type Entry = Rejection & { count: number; firstMs: number; lastMs: number; reportedMs: number }

export type Rejections = ReturnType<typeof createRejections>

const CONSEQUENCES: Record<RejectedKind, string> = {
  event: 'Each becomes a dead letter',
  'replayed event': 'These events are not sent again',
  note: 'Kafka does not have these notes: heartbeats, explanations of gaps or dead letters',
}

/**
 * Counts the records that Kafka rejects for good, by topic and reason. An alarm ends an hour after
 * the last rejection.
 */
export function createRejections({ onWarning, nowMs = Date.now }: RejectionsOptions) {
  const entries = new Map<string, Entry>()
  return {
    add({ topic, kind, reason }: Rejection): void {
      const now = nowMs()
      const key = JSON.stringify([topic, kind, reason])
      const known = entries.get(key)
      const isOngoing = known && now - known.lastMs < HOUR_MS
      const entry = isOngoing
        ? known
        : { topic, kind, reason, count: 0, firstMs: now, lastMs: now, reportedMs: -Infinity }
      entries.set(key, entry)
      entry.count++
      entry.lastMs = now
      if (now - entry.reportedMs < REPORT_EVERY_MS) return
      entry.reportedMs = now
      onWarning(alarmOf(entry))
    },
    /** Problems that a person should fix, a sentence each. */
    alarms(): string[] {
      const now = nowMs()
      return [...entries.values()].filter(({ lastMs }) => now - lastMs < HOUR_MS).map(alarmOf)
    },
  }
}

function alarmOf({ topic, kind, reason, count, firstMs, lastMs }: Entry): string {
  const [first, last] = [firstMs, lastMs].map(ms => new Date(ms).toISOString())
  const times = count === 1 ? `at ${first}` : `from ${first} to ${last}`
  const what = `Kafka rejected ${countText(count, kind)} for topic ${topic} ${times}: ${reason}`
  return `${what}. ${CONSEQUENCES[kind]}. ${cureOf(topic, reason)}`
}

function cureOf(topic: string, reason: string): string {
  if (reason === 'MESSAGE_TOO_LARGE') return `Raise max.message.bytes of topic ${topic}`
  if (reason === 'RECORD_LIST_TOO_LARGE') return `Raise segment.bytes of topic ${topic}`
  return `Compare the settings of topic ${topic} with ./sluice doctor, and see Kafka's log`
}
