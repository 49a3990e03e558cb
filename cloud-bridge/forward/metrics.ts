import { Counter, Gauge, Registry } from '@prometheus-io/client'
import type { Backlog } from '../../config/process/gateway-state.ts'
import type { Batch } from '../ports/event-sink.ts'
import type { FlowState, FlowStates } from '../retry/flow-status.ts'
import type { HotZone } from '../zones/hot-zones.ts'

/** Values that the gauges read when the metrics are scraped. */
type GaugeSources = {
  backlog(): Backlog
  hotZones(): readonly HotZone[]
  flows(): FlowStates
}

const CIRCUIT_STATES = { closed: 0, 'half-open': 1, open: 2 }

/** Counters since the start of the bridge, and gauges of the present state. */
export function createBridgeMetrics(sources: GaugeSources) {
  const registry = new Registry()
  const registers = [registry]
  const delivered = new Counter({
    name: 'sluice_delivered_total',
    help: 'Events that Kafka has acknowledged',
    labelNames: ['topic', 'partition'],
    registers,
  })
  const progress = new Gauge({
    name: 'sluice_progress_timestamp_seconds',
    help: 'When a partition last stored an event',
    labelNames: ['topic', 'partition'],
    registers,
  })
  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const retries = counter('sluice_retries_total', 'Retries of batches whose fate was unknown')
  const rejected = counter('sluice_rejected_total', 'Events and notes that Kafka rejects for good')
  const notes = counter('sluice_notes_delivered_total', 'Notes that Kafka has acknowledged')
  registerGauges(registers, sources)
  const perPartition: Record<number, number> = {}
  const totals = { delivered: 0, replayed: 0, retries: 0, rejected: 0, notes: 0 }
  return {
    totals,
    perPartition,
    text: () => registry.metrics(),
    delivered({ topic, records }: Batch): void {
      for (const [partition, count] of countByPartition(records)) {
        perPartition[partition] = (perPartition[partition] ?? 0) + count
        delivered.inc({ topic, partition }, count)
        progress.set({ topic, partition }, Date.now() / 1000)
      }
      totals.delivered += records.length
    },
    /** A replayed batch counts for its topic, but not among the delivered events. */
    replayed({ topic, records }: Batch): void {
      for (const [partition, count] of countByPartition(records)) {
        delivered.inc({ topic, partition }, count)
      }
      totals.replayed += records.length
    },
    retried(): void {
      totals.retries++
      retries.inc()
    },
    rejected(): void {
      totals.rejected++
      rejected.inc()
    },
    notesDelivered(count: number): void {
      totals.notes += count
      notes.inc(count)
    },
  }
}

function countByPartition(records: Batch['records']): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { partition } of records) counts.set(partition, (counts.get(partition) ?? 0) + 1)
  return counts
}

function registerGauges(registers: Registry[], { backlog, hotZones, flows }: GaugeSources): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  gauge('sluice_waiting_events', 'Events not yet in Kafka', () => backlog().events)
  gauge('sluice_waiting_bytes', 'Bytes of events not yet in Kafka', () => backlog().bytes)
  gauge(
    'sluice_waiting_oldest_seconds',
    'Age of the oldest event not yet in Kafka',
    () => Math.max(0, backlog().oldestAgeMs) / 1000,
  )
  new Gauge({
    name: 'sluice_zone_share',
    help: 'The share of a hot zone in the delivered events and bytes; other zones have no sample',
    labelNames: ['zone', 'of'],
    registers,
    collect() {
      this.reset()
      for (const { zone, eventsShare, bytesShare } of hotZones()) {
        this.set({ zone, of: 'events' }, eventsShare)
        this.set({ zone, of: 'bytes' }, bytesShare)
      }
    },
  })
  const perFlow = (name: string, help: string, value: (circuit: FlowState['circuit']) => number) =>
    new Gauge({
      ...{ name, help, registers, labelNames: ['flow'] },
      collect() {
        this.reset()
        for (const [flow, { circuit }] of Object.entries(flows())) {
          this.set({ flow }, value(circuit))
        }
      },
    })
  perFlow(
    'sluice_circuit_state',
    'Circuit breaker of a flow to Kafka: 0 closed, 1 half-open (one attempt runs), 2 open (waits)',
    ({ state }) => CIRCUIT_STATES[state],
  )
  perFlow(
    'sluice_circuit_failures',
    'Failures that determine the present back-off of a flow',
    ({ failures }) => failures,
  )
}
