/** How much each part does. */
export type Sizes = {
  ingest: { warmUpMessages: number; messages: number }
  throughput: { messages: number }
  paced: { ratePerSecond: number; seconds: number }
  backlog: { warmUpEvents: number; manyEvents: number; fewEvents: number }
  memory: { ratePerSecond: number; minutes: number; sampleEveryMs: number }
  ready: { events: number; kills: number }
  faults: { randomSends: number; seeds: number }
}

/** The sizes for which the targets hold. */
export const fullSizes: Sizes = {
  ingest: { warmUpMessages: 50_000, messages: 500_000 },
  throughput: { messages: 200_000 },
  paced: { ratePerSecond: 2000, seconds: 30 },
  backlog: { warmUpEvents: 100_000, manyEvents: 1_000_000, fewEvents: 200_000 },
  memory: { ratePerSecond: 2000, minutes: 10, sampleEveryMs: 10_000 },
  ready: { events: 1_000_000, kills: 10 },
  faults: { randomSends: 100, seeds: 3 },
}

/** Small ones, to see whether all works; their figures say little. */
export const quickSizes: Sizes = {
  ingest: { warmUpMessages: 5000, messages: 50_000 },
  throughput: { messages: 20_000 },
  paced: { ratePerSecond: 2000, seconds: 5 },
  backlog: { warmUpEvents: 20_000, manyEvents: 150_000, fewEvents: 50_000 },
  memory: { ratePerSecond: 2000, minutes: 0.5, sampleEveryMs: 1000 },
  ready: { events: 50_000, kills: 2 },
  faults: { randomSends: 10, seeds: 1 },
}
