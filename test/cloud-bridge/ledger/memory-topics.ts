import type { GatewayAssessment } from '../../../cloud-bridge/ledger/assessment.ts'
import { exitCodeOf } from '../../../cloud-bridge/ledger/report.ts'
import { createLedgerReading } from '../../../cloud-bridge/ledger/verification.ts'
import type { EventStream, ReadRecord } from '../../../cloud-bridge/ports/event-stream.ts'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
import { openConfigDir } from '../../config/config-fixture.ts'
import { goldenEvent } from '../../config/event/events-fixture.ts'

/** The four topics by their key in the configuration. */
export type TopicName = 'ledger' | 'deadletters' | 'readings' | 'backfill'
type Log = { begin: number; records: { value: Buffer; appendTimeMs: number }[] }
type NoteFacts = { store?: string; run?: number; origin?: string; gateway?: string }

export const OUTBOX = 'aa'
export const INBOX = 'bb'
const names: TopicName[] = ['ledger', 'deadletters', 'readings', 'backfill']
const topics = Object.fromEntries(names.map(name => [name, `t-${name}`]))

/** Kafka's topics in memory, with one partition each; the newest record is a second old. */
export function createMemoryTopics() {
  const logs = new Map<string, Log>(names.map(name => [`t-${name}`, { begin: 0, records: [] }]))
  const startMs = Date.now() - 1_000_000
  let atMs = startMs
  const stream: EventStream = {
    topicOffsets: async asked =>
      new Map(
        asked.flatMap(name => {
          const log = logs.get(name)
          if (!log) return []
          const { begin, records } = log
          return [
            [name, { begin: new Map([[0, begin]]), end: new Map([[0, begin + records.length]]) }],
          ]
        }),
      ),
    async readBetween(name, from, to, onRecord) {
      const { begin, records } = logs.get(name)!
      for (const [index, record] of [...records.entries()]) {
        const offset = begin + index
        if (offset < (from.get(0) ?? 0) || offset >= (to.get(0) ?? 0)) continue
        onRecord({ partition: 0, offset, key: null, headers: {}, ...record } as ReadRecord)
      }
    },
  }
  const append = (topic: TopicName, value: Buffer) => {
    atMs += 1000
    logs.get(`t-${topic}`)!.records.push({ value, appendTimeMs: atMs })
  }
  return {
    stream,
    /** The append time of the newest record. */
    get atMs() {
      return atMs
    },
    wait(ms: number): void {
      atMs += ms
    },
    event(sequence: number, topic: TopicName = 'readings', epoch = 5): void {
      const identity = { gateway: 'gw', epoch, sequence, zone: 'z', zoneSequence: sequence }
      append(topic, encodeEvent({ ...goldenEvent, ...identity, receivedAt: atMs }))
    },
    note(sequence: number, kind: string, content: object, facts: NoteFacts = {}): void {
      const topic = kind === 'deadletter' && 'payload' in content ? 'deadletters' : 'ledger'
      const all = { gateway: 'gw', store: OUTBOX, origin: 'outbox', run: 5, ...facts }
      append(topic, Buffer.from(JSON.stringify({ ...all, sequence, kind, at: atMs, content })))
    },
    /** Deletes a topic, and creates it unless `isGone`. */
    recreate(topic: TopicName, isGone = false): void {
      if (isGone) logs.delete(`t-${topic}`)
      else logs.set(`t-${topic}`, { begin: 0, records: [] })
    },
    /** Deletes the oldest records, as Kafka's retention does. */
    expire(topic: TopicName, count: number): void {
      const log = logs.get(`t-${topic}`)!
      log.begin += log.records.splice(0, count).length
    },
    /** Removes records without a trace. */
    lose(topic: TopicName, isLost: (note: Record<string, unknown>) => boolean): void {
      const log = logs.get(`t-${topic}`)!
      log.records = log.records.filter(({ value }) => !isLost(JSON.parse(value.toString())))
    },
    /** The ledger's report on the gateway, and the exit code. */
    async verify(): Promise<GatewayAssessment & { code: number }> {
      const found = await readingOf(stream)()
      return found
    },
    /** Each call reads on and reports. */
    watch: () => readingOf(stream),
  }
}

function readingOf(stream: EventStream) {
  using dir = openConfigDir()
  const config = dir.configOf(JSON.stringify({ kafka: { brokers: ['127.0.0.1:1'], topics } }))
  const { signal } = new AbortController()
  const options = { config, signal, silentAfterMs: 3_600_000, onProblem: () => {} }
  const reading = createLedgerReading(options, stream)
  return async () => {
    await reading.readToEnd()
    const report = reading.report()
    return { ...report.gateways[0]!, code: exitCodeOf(report) }
  }
}

export const EPOCH = { epoch: 5, firstSequence: 1, previous: null }
export const heads = (lastSequence: number, epoch = 5) => ({
  ...{ epoch, lastSequence, zones: lastSequence === 0 ? [] : [['z', lastSequence]] },
})
export const LETTER = { reason: 'no JSON', place: '', topic: 't', payload: 'eA==' }
