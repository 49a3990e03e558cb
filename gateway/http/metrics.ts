import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { Backlog, DiskWear, OutboxSpace } from '../../config/process/status.ts'
import type { CommitCounts } from '../ingest/commit.ts'

const LATENCY_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

type Now = {
  backlog: Backlog
  space: OutboxSpace
  wear: DiskWear
  writtenBytes: number
  lettersLetGo: number
  connections: number
  salvagedMs: number
}

/** Counters tell amounts: what the gateway did since it was started, and what waits now. */
export function createMetrics(now: () => Now) {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const acknowledged = counter('sluice_acknowledged_total', 'QoS 1 and 2 messages acknowledged')
  const stored = counter('sluice_stored_total', 'Messages stored as events')
  const buried = counter('sluice_buried_total', 'Messages buried as dead letters')
  const repeated = counter('sluice_repeated_total', 'QoS 2 messages that were stored before')
  const refused = counter('sluice_refused_total', 'Messages refused: not kept, not acknowledged')
  const broken = counter(
    'sluice_connections_broken_total',
    'Connections ended by a fault of theirs',
  )
  const histogram = (name: string, help: string) =>
    new Histogram({ name, help, registers, buckets: LATENCY_BUCKETS_S })
  const commit = histogram('sluice_commit_seconds', 'From handing a group over to its fsync')
  const puback = histogram('sluice_puback_seconds', 'From reading a message to acknowledging it')
  startGauges(registers, now)
  startStoreMetrics(registers, now)
  const totals = { acknowledged: 0, stored: 0, buried: 0, repeated: 0, refused: 0 }
  return {
    totals,
    text: () => registry.metrics(),
    acknowledged(latencyMs: number): void {
      totals.acknowledged++
      acknowledged.inc()
      puback.observe(latencyMs / 1000)
    },
    committed(tally: CommitCounts, commitMs: number): void {
      totals.stored += tally.stored
      totals.buried += tally.buried
      totals.repeated += tally.repeated
      stored.inc(tally.stored)
      buried.inc(tally.buried)
      repeated.inc(tally.repeated)
      commit.observe(commitMs / 1000)
    },
    broken(): void {
      broken.inc()
    },
    refused(count: number): void {
      totals.refused += count
      refused.inc(count)
    },
  }
}

/** Adds gauges whose value is asked for when somebody looks. */
function gaugesIn(registers: Registry[]) {
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

function startGauges(registers: Registry[], now: () => Now): void {
  const gauge = gaugesIn(registers)
  gauge('sluice_connections', 'Devices connected', () => now().connections)
  gauge(
    'sluice_salvaged_timestamp_seconds',
    'When a damaged outbox that is still kept was moved aside, 0 for never',
    () => now().salvagedMs / 1000,
  )
  gauge('sluice_waiting_events', 'Events not yet in Kafka', () => now().backlog.events)
  gauge('sluice_waiting_bytes', 'Bytes of events not yet in Kafka', () => now().backlog.bytes)
  gauge(
    'sluice_waiting_oldest_seconds',
    'Age of the oldest event not yet in Kafka',
    () => Math.max(0, now().backlog.oldestAgeMs) / 1000,
  )
  gauge('sluice_outbox_file_bytes', 'Size of the outbox', () => now().space.fileBytes)
  gauge('sluice_outbox_used_bytes', 'Of it in use', () => now().space.usedBytes)
  gauge(
    'sluice_outbox_kept_bytes',
    'Bytes of events that are delivered and kept',
    () => now().space.keptBytes,
  )
  gauge('sluice_disk_free_bytes', 'Free on the disk of the outbox', () => now().space.freeDiskBytes)
  gauge(
    'sluice_outbox_full_in_seconds',
    'Until a bound is reached if what waits grows like this; +Inf while it does not grow',
    () => (now().space.fullInMs ?? Number.POSITIVE_INFINITY) / 1000,
  )
  gauge('sluice_outbox_refuses', '1 while a bound or a full disk keeps messages out', () =>
    now().space.refuses === null ? 0 : 1,
  )
}

function startStoreMetrics(registers: Registry[], now: () => Now): void {
  const total = (name: string, help: string, value: () => number) => {
    let told = 0
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.inc(value() - told)
        told = value()
      },
    })
  }
  total(
    'sluice_disk_written_bytes_total',
    'Bytes that the outbox made its disk write',
    () => now().writtenBytes,
  )
  total(
    'sluice_deadletters_let_go_total',
    'Dead letters that lost their bytes at outbox.bounds.deadLetterBytes',
    () => now().lettersLetGo,
  )
  const gauge = gaugesIn(registers)
  const wear = (name: string, help: string, value: (wear: DiskWear) => number) =>
    gauge(name, help, () => value(now().wear))
  wear(
    'sluice_disk_written_bytes_per_reading',
    'Of the last minute, by message stored or buried; NaN while there is none',
    ({ perReadingBytes }) => perReadingBytes ?? Number.NaN,
  )
  wear(
    'sluice_commit_window_seconds',
    'How long messages are gathered before they are written together',
    ({ commitWindowMs }) => commitWindowMs / 1000,
  )
  wear(
    'sluice_disk_write_budget_exceeded',
    '1 while more is written than outbox.writeBudgetBytesPerDay although the window is widest',
    ({ beyondBudget }) => (beyondBudget === null ? 0 : 1),
  )
}
