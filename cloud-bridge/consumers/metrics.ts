import { Counter, Gauge, Registry } from '@prometheus-io/client'
import type { ArrivalCounts } from './runtime/handler.ts'

/** The kinds of faults, as the values of the metric's label `kind`. */
export type FaultKind = 'refused' | 'away' | 'joined anew' | 'absurd' | 'deleted'

/** The counts of a consumer since its start, and its lag. */
export function createConsumerMetrics(
  consumer: string,
  source: { lag(): ReadonlyMap<string, number> },
) {
  const registry = new Registry()
  const registers = [registry]
  const records = new Counter({
    name: 'sluice_consumer_taken_total',
    help: 'Records by arrival: in order, late, out of order, duplicate, unusable',
    labelNames: ['consumer', 'arrival'],
    registers,
  })
  const effects = new Counter({
    name: 'sluice_consumer_effects_total',
    help: 'Effects that Kafka acknowledged, by topic',
    labelNames: ['consumer', 'topic'],
    registers,
  })
  const faults = new Counter({
    name: 'sluice_consumer_faults_total',
    help:
      'Faults by kind: refused (effect rejected), away (dependency unavailable), joined anew ' +
      '(membership ended and joined again), absurd (implausible value), deleted (by retention)',
    labelNames: ['consumer', 'kind'],
    registers,
  })
  const missing = new Gauge({
    name: 'sluice_consumer_missing',
    help: 'Events whose number is below a received number, and that did not arrive',
    labelNames: ['consumer', 'partition'],
    registers,
  })
  new Gauge({
    name: 'sluice_consumer_lag',
    help: 'Records not processed yet, by topic',
    labelNames: ['consumer', 'topic'],
    registers,
    collect() {
      this.reset()
      for (const [topic, count] of source.lag()) this.set({ consumer, topic }, count)
    },
  })
  /** The totals since the start, with the field names of the page /state. */
  const totals = {
    taken: {} as Partial<ArrivalCounts>,
    effects: 0,
    faults: {} as Record<string, number>,
  }
  return {
    totals,
    text: () => registry.metrics(),
    countRecords(counts: ArrivalCounts): void {
      for (const [arrival, count] of Object.entries(counts) as [keyof ArrivalCounts, number][]) {
        if (count === 0) continue
        totals.taken[arrival] = (totals.taken[arrival] ?? 0) + count
        records.inc({ consumer, arrival }, count)
      }
    },
    setMissing(partition: number, events: number): void {
      missing.set({ consumer, partition }, events)
    },
    countEffects(topic: string, count: number): void {
      totals.effects += count
      effects.inc({ consumer, topic }, count)
    },
    countFault(kind: FaultKind, count = 1): void {
      totals.faults[kind] = (totals.faults[kind] ?? 0) + count
      faults.inc({ consumer, kind }, count)
    },
  }
}
