import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { Backlog, DiskWear, OutboxSpace } from '../../config/process/gateway-state.ts'
import type { CommitCounts } from '../ingest/commit.ts'
import type { BrokerMemory } from '../mqtt/sessions/sessions.ts'

const LATENCY_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Values that are read when the metrics are scraped. */
export type MeasuredValues = {
  backlog: Backlog
  space: OutboxSpace
  wear: DiskWear
  writtenBytes: number
  deadLettersWithoutPayload: number
  connections: number
  qos2Unreleased: number
  /** What the broker keeps in memory for subscribers. */
  memory: BrokerMemory
  /** How many messages had each kind of strange time, since the start. */
  timeProblems: Partial<Record<string, number>>
  /** Bytes of messages that wait for the disk, and declared bytes of unfinished packets. */
  inFlightBytes: number
  /** Clients that reconnect into the same fault again and again. */
  clientsInLoop: number
  /**
   * When the newest damaged outbox file that still exists was set aside, in ms since 1970; 0 when
   * there is none.
   */
  setAsideAtMs: number
}

export type Metrics = ReturnType<typeof createMetrics>

/** The gateway's Prometheus metrics. Counters start at 0 when the process starts. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const acknowledged = counter('sluice_acknowledged_total', 'QoS 1 and 2 messages acknowledged')
  const stored = counter('sluice_stored_total', 'Messages stored as events')
  const buried = counter('sluice_buried_total', 'Messages stored as dead letters')
  const repeated = counter('sluice_repeated_total', 'QoS 2 messages that were stored before')
  const refused = counter('sluice_refused_total', 'Messages refused: not stored, not acknowledged')
  const broken = counter(
    'sluice_connections_broken_total',
    'Device connections ended by a fault: malformed packet, timeout or reset',
  )
  const bounds = new Counter({
    name: 'sluice_bound_reached_total',
    help: 'How often a bound of gateway.mqtt was reached, by its key',
    labelNames: ['bound'],
    registers,
  })
  const histogram = (name: string, help: string) =>
    new Histogram({ name, help, registers, buckets: LATENCY_BUCKETS_S })
  const commit = histogram('sluice_commit_seconds', 'Time to commit a group, fsync included')
  const puback = histogram('sluice_puback_seconds', 'From reading a message to acknowledging it')
  /** Named as in the JSON of /state. */
  const totals = { acknowledged: 0, stored: 0, buried: 0, repeated: 0, refused: 0 }
  return {
    totals,
    text: () => registry.metrics(),
    recordAcknowledged(latencyMs: number): void {
      totals.acknowledged++
      acknowledged.inc()
      puback.observe(latencyMs / 1000)
    },
    recordCommit(counts: CommitCounts, commitMs: number): void {
      totals.stored += counts.stored
      totals.buried += counts.deadLettered
      totals.repeated += counts.repeated
      stored.inc(counts.stored)
      buried.inc(counts.deadLettered)
      repeated.inc(counts.repeated)
      commit.observe(commitMs / 1000)
    },
    recordBrokenConnection(): void {
      broken.inc()
    },
    recordBound(bound: string, count: number): void {
      bounds.inc({ bound }, count)
    },
    recordRefused(): void {
      totals.refused++
      refused.inc()
    },
    /** Adds the metrics that are read from the running parts. */
    addMeasured(measure: () => MeasuredValues): void {
      addGauges(registers, measure)
      addMemoryGauges(registers, measure)
      addStoreMetrics(registers, measure)
      addTimeProblems(registers, measure)
    },
  }
}

/** Returns a function that adds a gauge; the gauge's value is read at each scrape. */
function gaugeFactory(registers: Registry[]) {
  return (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
}

function addGauges(registers: Registry[], measure: () => MeasuredValues): void {
  const gauge = gaugeFactory(registers)
  gauge('sluice_connections', 'Devices connected', () => measure().connections)
  gauge(
    'sluice_in_flight_bytes',
    'Bytes of messages that wait for the disk, and declared bytes of unfinished packets',
    () => measure().inFlightBytes,
  )
  gauge(
    'sluice_clients_in_fault_loop',
    'Clients that reconnect into the same fault again and again',
    () => measure().clientsInLoop,
  )
  gauge(
    'sluice_unreleased_messages',
    'QoS 2 messages stored and not yet released by PUBREL',
    () => measure().qos2Unreleased,
  )
  gauge(
    'sluice_salvaged_timestamp_seconds',
    'When a damaged outbox that is still kept was moved aside, 0 for never',
    () => measure().setAsideAtMs / 1000,
  )
  gauge('sluice_waiting_events', 'Events not yet in Kafka', () => measure().backlog.events)
  gauge('sluice_waiting_bytes', 'Bytes of events not yet in Kafka', () => measure().backlog.bytes)
  gauge(
    'sluice_waiting_oldest_seconds',
    'Age of the oldest event not yet in Kafka',
    () => Math.max(0, measure().backlog.oldestAgeMs) / 1000,
  )
  gauge('sluice_outbox_file_bytes', 'Size of the outbox file', () => measure().space.fileBytes)
  gauge(
    'sluice_outbox_used_bytes',
    'Bytes of the outbox file in use',
    () => measure().space.usedBytes,
  )
  gauge(
    'sluice_outbox_kept_bytes',
    'Bytes of events that are delivered and kept',
    () => measure().space.keptBytes,
  )
  gauge(
    'sluice_disk_free_bytes',
    'Free bytes on the disk of the outbox',
    () => measure().space.freeDiskBytes,
  )
  gauge(
    'sluice_outbox_full_in_seconds',
    'Until a bound is reached if the backlog grows at this rate; +Inf while it does not grow',
    () => (measure().space.fullInMs ?? Number.POSITIVE_INFINITY) / 1000,
  )
  gauge('sluice_outbox_refuses', '1 while a bound or a full disk makes the outbox refuse', () =>
    measure().space.refuses === null ? 0 : 1,
  )
}

function addTimeProblems(registers: Registry[], measure: () => MeasuredValues): void {
  const reported = new Map<string, number>()
  new Counter({
    name: 'sluice_time_problems_total',
    help: 'Messages whose own time is strange, by kind: too early, too late, no offset, skipped',
    registers,
    labelNames: ['kind'],
    collect() {
      for (const [kind, count = 0] of Object.entries(measure().timeProblems)) {
        this.inc({ kind }, count - (reported.get(kind) ?? 0))
        reported.set(kind, count)
      }
    },
  })
}

function addMemoryGauges(registers: Registry[], measure: () => MeasuredValues): void {
  const gauge = gaugeFactory(registers)
  const memory = (name: string, help: string, key: keyof BrokerMemory) =>
    gauge(name, help, () => measure().memory[key])
  memory(
    'sluice_sessions',
    'Persistent MQTT sessions with subscriptions or queued messages',
    'sessions',
  )
  memory('sluice_subscriptions', 'MQTT subscriptions of all clients', 'subscriptions')
  memory('sluice_retained_messages', 'Retained messages in memory', 'retainedMessages')
  memory('sluice_retained_bytes', 'Bytes of retained messages in memory', 'retainedBytes')
  memory('sluice_queued_messages', 'Messages that wait for sessions', 'queuedMessages')
  memory('sluice_queued_bytes', 'Bytes of messages that wait for sessions', 'queuedBytes')
}

function addStoreMetrics(registers: Registry[], measure: () => MeasuredValues): void {
  const total = (name: string, help: string, value: () => number) => {
    let reported = 0
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.inc(value() - reported)
        reported = value()
      },
    })
  }
  total(
    'sluice_disk_written_bytes_total',
    'Bytes written to disk for the outbox',
    () => measure().writtenBytes,
  )
  total(
    'sluice_deadletters_let_go_total',
    'Dead letters whose bytes were deleted at outbox.bounds.deadLetterBytes',
    () => measure().deadLettersWithoutPayload,
  )
  const gauge = gaugeFactory(registers)
  const wearGauge = (name: string, help: string, value: (wear: DiskWear) => number) =>
    gauge(name, help, () => value(measure().wear))
  wearGauge(
    'sluice_disk_written_bytes_per_reading',
    'Bytes written in the last minute, per stored message; NaN while there is none',
    ({ perReadingBytes }) => perReadingBytes ?? Number.NaN,
  )
  wearGauge(
    'sluice_commit_window_seconds',
    'How long messages are gathered before they are written together',
    ({ commitWindowMs }) => commitWindowMs / 1000,
  )
  wearGauge(
    'sluice_disk_write_budget_exceeded',
    '1 while outbox.writeBudgetBytesPerDay is exceeded although the commit window is the widest',
    ({ beyondBudget }) => (beyondBudget === null ? 0 : 1),
  )
}
