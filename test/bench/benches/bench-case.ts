import type { LocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import type { Client } from '../arguments.ts'
import type { Measured } from '../measure/figures.ts'
import type { Sizes } from '../sizes.ts'

/** What a part of the bench has to work with in one run. */
export type Bench = {
  /** An empty directory on a real disk. */
  dir: string
  sizes: Sizes
  clients: readonly Client[]
  /** The Kafka of this bench, started when first asked for. */
  kafka(): Promise<LocalKafka>
  signal: AbortSignal
}

/** A part gives the same figures in the same order in every run. */
export type Part = {
  needsKafka: boolean
  /** How much it does, as its figures' lines say. */
  size(sizes: Sizes): object
  run(bench: Bench): Promise<Measured[]>
}
