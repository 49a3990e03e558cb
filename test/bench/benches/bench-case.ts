import type { LocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import type { Client } from '../arguments.ts'
import type { Measurement } from '../measure/figures.ts'
import type { Sizes } from '../sizes.ts'

/** The resources of a bench in one run. */
export type Bench = {
  /** An empty directory on a real disk. */
  dir: string
  sizes: Sizes
  clients: readonly Client[]
  /** Returns the Kafka that all benches share; the first call starts that Kafka. */
  kafka(): Promise<LocalKafka>
  signal: AbortSignal
}

/** One bench. Every run returns the same figures in the same order. */
export type BenchCase = {
  needsKafka: boolean
  /** The amount of work, as printed with each figure. */
  size(sizes: Sizes): object
  run(bench: Bench): Promise<Measurement[]>
}
