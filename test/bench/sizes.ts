/** How much work each bench does. */
export type Sizes = {
  ingest: { warmUpMessages: number; messages: number }
  throughput: { messages: number }
  paced: { ratePerSecond: number; seconds: number }
  /**
   * `spareEvents` events wait in addition to the measured events, so that the bridge always has
   * events to send. Events are stored in groups of `groupEvents`: a commit has 40 events at 2,000
   * events a second, and 250 at 12,500.
   */
  drain: { warmUpEvents: number; events: number; spareEvents: number; groupEvents: number[] }
  /** Backlog sizes, in addition to the measured events, smallest first. */
  backlog: { warmUpEvents: number; events: number; waiting: number[] }
  live: { ratePerSecond: number; seconds: number; oldEvents: number }
  recovery: { ratePerSecond: number; awaySeconds: number[] }
  /** `waiting` readings arrive while Kafka is away. */
  outage: { ratePerSecond: number; waiting: number }
  memory: { ratePerSecond: number; minutes: number; sampleEveryMs: number }
  ready: { events: number; kills: number }
  faults: { randomSends: number; seeds: number }
  consumers: { events: number; devices: number }
}

/** The sizes at which the targets hold. */
export const fullSizes: Sizes = {
  ingest: { warmUpMessages: 50_000, messages: 500_000 },
  throughput: { messages: 200_000 },
  paced: { ratePerSecond: 2000, seconds: 30 },
  drain: {
    ...{ warmUpEvents: 100_000, events: 1_000_000, spareEvents: 500_000 },
    groupEvents: [250, 40],
  },
  backlog: { warmUpEvents: 100_000, events: 200_000, waiting: [50_000, 1_000_000] },
  live: { ratePerSecond: 2000, seconds: 15, oldEvents: 1_000_000 },
  recovery: { ratePerSecond: 200, awaySeconds: [0, 60] },
  outage: { ratePerSecond: 5000, waiting: 1_000_000 },
  memory: { ratePerSecond: 2000, minutes: 10, sampleEveryMs: 10_000 },
  ready: { events: 1_000_000, kills: 10 },
  faults: { randomSends: 100, seeds: 3 },
  consumers: { events: 2_000_000, devices: 1000 },
}

/** Small sizes, which show whether the benches work; the figures of such a run mean little. */
export const quickSizes: Sizes = {
  ingest: { warmUpMessages: 5000, messages: 50_000 },
  throughput: { messages: 20_000 },
  paced: { ratePerSecond: 2000, seconds: 5 },
  drain: {
    ...{ warmUpEvents: 50_000, events: 200_000, spareEvents: 500_000 },
    groupEvents: [250, 40],
  },
  backlog: { warmUpEvents: 20_000, events: 50_000, waiting: [50_000, 200_000] },
  live: { ratePerSecond: 2000, seconds: 5, oldEvents: 200_000 },
  recovery: { ratePerSecond: 200, awaySeconds: [0, 10] },
  outage: { ratePerSecond: 2000, waiting: 50_000 },
  memory: { ratePerSecond: 2000, minutes: 0.5, sampleEveryMs: 1000 },
  ready: { events: 50_000, kills: 2 },
  faults: { randomSends: 10, seeds: 1 },
  consumers: { events: 200_000, devices: 1000 },
}
