import { Counter, Gauge, Registry } from '@prometheus-io/client'
import type { ArrivalCounts } from './runtime/handler.ts'

/** What a consumer did since it was started, and how far behind it is. */
export function createConsumerMetrics(
  consumer: string,
  now: { lag(): ReadonlyMap<string, number> },
) {
  const registry = new Registry()
  const registers = [registry]
  const taken = new Counter({
    name: 'sluice_consumer_taken_total',
    help: 'Records by how they came: in order, late, out of order, duplicate, unusable',
    labelNames: ['consumer', 'arrival'],
    registers,
  })
  const sent = new Counter({
    name: 'sluice_consumer_effects_total',
    help: 'Effects that Kafka has, by topic',
    labelNames: ['consumer', 'topic'],
    registers,
  })
  const faults = new Counter({
    name: 'sluice_consumer_faults_total',
    help: 'What went wrong, by kind: refused, away, joined anew, absurd',
    labelNames: ['consumer', 'kind'],
    registers,
  })
  const missing = new Gauge({
    name: 'sluice_consumer_missing',
    help: 'Events whose number is between others that came, and that did not come',
    labelNames: ['consumer', 'partition'],
    registers,
  })
  new Gauge({
    name: 'sluice_consumer_lag',
    help: 'Records that are yet to be taken, by topic',
    labelNames: ['consumer', 'topic'],
    registers,
    collect() {
      this.reset()
      for (const [topic, records] of now.lag()) this.set({ consumer, topic }, records)
    },
  })
  const totals = {
    taken: {} as Partial<ArrivalCounts>,
    effects: 0,
    faults: {} as Record<string, number>,
  }
  return {
    totals,
    text: () => registry.metrics(),
    taken(counts: ArrivalCounts): void {
      for (const [arrival, count] of Object.entries(counts) as [keyof ArrivalCounts, number][]) {
        if (count === 0) continue
        totals.taken[arrival] = (totals.taken[arrival] ?? 0) + count
        taken.inc({ consumer, arrival }, count)
      }
    },
    missing(partition: number, events: number): void {
      missing.set({ consumer, partition }, events)
    },
    sent(topic: string, count: number): void {
      totals.effects += count
      sent.inc({ consumer, topic }, count)
    },
    fault(kind: 'refused' | 'away' | 'joined anew' | 'absurd' | 'deleted', count = 1): void {
      totals.faults[kind] = (totals.faults[kind] ?? 0) + count
      faults.inc({ consumer, kind }, count)
    },
  }
}
