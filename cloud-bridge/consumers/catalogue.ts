import type { RequestListener } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { createLog } from '../../config/process/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createAnalytics } from './analytics/analytics.ts'
import { openAnalyticsApi } from './analytics/api/api.ts'
import { createArchive } from './archive/archive.ts'
import { durableFilesystem } from './archive/files/durable-filesystem.ts'
import { startClockNoteReader } from './clock/clock-notes.ts'
import { type ConsumerProcess, createStatefulOpener } from './process.ts'
import type { Handling } from './runtime/handler.ts'
import { createKeyedHandling, type Handler } from './runtime/keyed-handler.ts'
import type { Consumer } from './runtime/partition-work.ts'
import { openStateStore } from './state/configured-store.ts'
import { openCurrentVersion } from './state/current-version.ts'
import type { ConsumerStateAccess, PartitionState, StateStore } from './state/state.ts'

/** What a consumer is opened with; what it opens it puts on the stack. */
export type ConsumerContext = {
  config: Config
  runtime: ConsumerProcess
  kafka: KafkaClient
  stack: AsyncDisposableStack
  log: ReturnType<typeof createLog>
  signal: AbortSignal
}

export type OpenedConsumer = {
  /** Its pages, and the key that they are configured by. */
  http: { host: string; port: number }
  key: string
  /** Answers what is none of its pages. */
  answer?: RequestListener
  work: Consumer['open']
}

/** How a consumer handles the events of a partition on its state. */
export type HandlingFactory = (state: PartitionState) => Promise<Handling>

export type ConsumerDefinition = {
  name: string
  open(place: ConsumerContext): Promise<OpenedConsumer>
  /** Of a consumer that has a state, which can be built anew. */
  createHandling?(place: ConsumerContext): HandlingFactory
  /** What comes so soon behind a commit waits for the next one, in ms; 0 when it is left out. */
  commitEveryMs?: number
}

/** Nobody waits for a window as for an alert, and a block is written once for many points. */
const COMMIT_EVERY_MS = 1000

export const analytics: ConsumerDefinition = {
  name: 'analytics',
  open: openAnalytics,
  createHandling: startingAnalytics,
  commitEveryMs: COMMIT_EVERY_MS,
}

export const archive: ConsumerDefinition = { name: 'archive', open: openArchive }

/** A consumer that is a pure function. */
export const handlerDefinition = (handler: Handler<unknown>): ConsumerDefinition => ({
  name: handler.name,
  open: place => openHandler(handler, place),
  createHandling: () => async state => createKeyedHandling(handler, state),
})

/** Counts, means, percentiles, energy and occupancy in windows of time, and their read API. */
async function openAnalytics(place: ConsumerContext): Promise<OpenedConsumer> {
  const { config, runtime, stack } = place
  const { http, holdMaxMs } = config.consumers.analytics
  const state = openState('analytics', place)
  const api = stack.use(await openAnalyticsApi({ state, holdMaxMs }))
  const options = { commitEveryMs: COMMIT_EVERY_MS }
  const work = createStatefulOpener('analytics', runtime, state, startingAnalytics(place), options)
  return { http, key: 'consumers.analytics.http', answer: api.handleRequest, work }
}

function startingAnalytics({ config, runtime, kafka, signal }: ConsumerContext): HandlingFactory {
  const notes = startClockNoteReader({
    ...{ stream: kafka.stream, topic: config.kafka.topics.ledger, signal },
    onAway: runtime.onAway('what gateways say of their clocks'),
  })
  return async state =>
    createAnalytics(state, {
      ...config.consumers.analytics,
      clockOffsets: await notes,
      onImplausibleValues: count => runtime.metrics.fault('absurd', count),
    })
}

/** Every event in Parquet files. */
async function openArchive({ config, runtime, log }: ConsumerContext): Promise<OpenedConsumer> {
  const { http, ...options } = config.consumers.archive
  const { read, patience, deadletters, metrics } = runtime
  const bury = runtime.createDeadLetterProducer()
  const open = createArchive({
    ...{
      name: 'archive',
      ...options,
      disk: durableFilesystem,
      decodeRecords: read,
      retryWhileUnavailable: patience,
      deadLetterTopic: deadletters,
      produceDeadLetters: bury,
    },
    onSealed: (partition, day, sha256) => log.info({ partition, day, sha256 }, 'sealed'),
    onCommitted: metrics.taken,
  })
  const work: Consumer['open'] = (partition, signal) => patience(() => open(partition), signal)
  return { http, key: 'consumers.archive.http', work }
}

async function openHandler(
  handler: Handler<unknown>,
  place: ConsumerContext,
): Promise<OpenedConsumer> {
  const { config, runtime } = place
  const state = openState(handler.name, place)
  const work = createStatefulOpener(handler.name, runtime, state, async one =>
    createKeyedHandling(handler, one),
  )
  return { http: config.consumers.http, key: 'consumers.http', work }
}

function openState(name: string, { config, stack }: ConsumerContext): ConsumerStateAccess {
  return stack.use(openCurrentVersion(stack.use(openConfiguredStore(config)), name))
}

/** Where the states of consumers are kept, as configured. */
export function openConfiguredStore({ consumers: { dir, postgresUrl } }: Config): StateStore {
  return openStateStore({ dir, postgresUrl: postgresUrl?.reveal() ?? null })
}
