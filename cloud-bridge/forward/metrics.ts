import { Counter, Gauge, Registry } from '@prometheus-io/client'
import type { Backlog } from '../../config/process/status.ts'
import type { Batch } from '../ports/event-sink.ts'
import type { FlowStates } from '../retry/flow-status.ts'
import type { HotZone } from '../zones/hot-zones.ts'

type Now = {
  waiting(): Backlog
  hotZones(): readonly HotZone[]
  circuits(): Circuits
}
type Circuits = FlowStates['circuits']

const CIRCUIT = { closed: 0, 'half-open': 1, open: 2 }

/** What the bridge did since it was started, and how things are now. */
export function createBridgeMetrics(now: Now) {
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
    help: 'When a partition last took an event',
    labelNames: ['topic', 'partition'],
    registers,
  })
  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const retries = counter('sluice_retries_total', 'Sends of a batch whose fate was unknown before')
  const rejected = counter('sluice_rejected_total', 'Events and notes that Kafka will never take')
  const notes = counter('sluice_notes_delivered_total', 'Notes that Kafka has acknowledged')
  openGauges(registers, now)
  const perPartition: Record<number, number> = {}
  const totals = { delivered: 0, replayed: 0, retries: 0, rejected: 0, notes: 0 }
  return {
    totals,
    perPartition,
    text: () => registry.metrics(),
    delivered({ topic, records }: Batch): void {
      for (const [partition, count] of countsOf(records)) {
        perPartition[partition] = (perPartition[partition] ?? 0) + count
        delivered.inc({ topic, partition }, count)
        progress.set({ topic, partition }, Date.now() / 1000)
      }
      totals.delivered += records.length
    },
    /** Sent once more: it counts for its topic, and not as delivered. */
    replayed({ topic, records }: Batch): void {
      for (const [partition, count] of countsOf(records)) {
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

function countsOf(records: Batch['records']): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { partition } of records) counts.set(partition, (counts.get(partition) ?? 0) + 1)
  return counts
}

/** What is asked for at the moment of a look. */
function openGauges(registers: Registry[], { waiting, hotZones, circuits }: Now): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  gauge('sluice_waiting_events', 'Events not yet in Kafka', () => waiting().events)
  gauge('sluice_waiting_bytes', 'Bytes of events not yet in Kafka', () => waiting().bytes)
  gauge(
    'sluice_waiting_oldest_seconds',
    'Age of the oldest event not yet in Kafka',
    () => Math.max(0, waiting().oldestAgeMs) / 1000,
  )
  new Gauge({
    name: 'sluice_zone_share',
    help: 'What a hot zone takes of the events and of the bytes delivered; others are not told',
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
  const perFlow = (name: string, help: string, value: (of: Circuits[string]) => number) =>
    new Gauge({
      ...{ name, help, registers, labelNames: ['flow'] },
      collect() {
        this.reset()
        for (const [flow, circuit] of Object.entries(circuits())) this.set({ flow }, value(circuit))
      },
    })
  perFlow(
    'sluice_circuit_state',
    'What goes to Kafka on its own: 0 goes, 1 is tried again, 2 waits to be tried',
    ({ state }) => CIRCUIT[state],
  )
  perFlow(
    'sluice_circuit_failures',
    'Failures that the present back-off of a flow is for',
    ({ failures }) => failures,
  )
}
