import type { RequestListener } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { ServedNames } from '../../config/process/host-check.ts'
import type { createLog } from '../../config/process/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createAnalytics } from './analytics/analytics.ts'
import { openAnalyticsApi } from './analytics/api/api.ts'
import { createArchive } from './archive/archive.ts'
import { durableFilesystem } from './archive/files/durable-filesystem.ts'
import { startClockNoteReader } from './clock/clock-notes.ts'
import { createEmptyStateCheck, type OpenedCheck } from './empty-state.ts'
import { type ConsumerProcess, createStatefulOpener } from './process.ts'
import type { Handling } from './runtime/handler.ts'
import { createKeyedHandling, type Handler } from './runtime/keyed-handler.ts'
import type { Consumer } from './runtime/partition-work.ts'
import { openStateStore } from './state/configured-store.ts'
import { openCurrentVersion } from './state/current-version.ts'
import type { ConsumerStateAccess, PartitionState, StateStore } from './state/state.ts'

/**
 * The parts with which a consumer opens. The consumer adds every resource that it opens to `stack`.
 */
export type ConsumerContext = {
  config: Config
  runtime: ConsumerProcess
  kafka: KafkaClient
  stack: AsyncDisposableStack
  log: ReturnType<typeof createLog>
  signal: AbortSignal
}

export type OpenedConsumer = {
  /** The address of the HTTP pages, and the configuration key of that address. */
  http: ServedNames & { port: number }
  key: string
  /** Answers HTTP requests for all pages except the standard pages. */
  handleRequest?: RequestListener
  openWork: Consumer['open']
  /** Refuses a state that lacks what the group has processed; only for states in a directory. */
  check?: OpenedCheck
}

/** Creates the handling of a partition's events on its state. */
export type HandlingFactory = (state: PartitionState) => Promise<Handling>

export type ConsumerDefinition = {
  name: string
  /** The topics that the consumer reads; the topics of live events by default. */
  topics?: readonly string[]
  open(context: ConsumerContext): Promise<OpenedConsumer>
  /** Only for a consumer with a state that can be rebuilt. */
  createHandling?(context: ConsumerContext): HandlingFactory
  /** The shortest time between two commits, in ms; 0 by default. */
  commitEveryMs?: number
}

/** Unlike alerts, windows need no immediate commit, and one commit writes many points at once. */
const ANALYTICS_COMMIT_EVERY_MS = 1000

export const analytics: ConsumerDefinition = {
  name: 'analytics',
  open: context => openAnalytics(context),
  createHandling: analyticsFactory,
  commitEveryMs: ANALYTICS_COMMIT_EVERY_MS,
}

/**
 * Analytics over one topic, such as imported recordings: with a state and a read API of its own,
 * and without publishing aggregates, which would replace those of live events.
 */
export function analyticsOf(topic: string): ConsumerDefinition {
  const name = `analytics-${topic}`
  const quiet = (context: ConsumerContext): ConsumerContext => {
    const { consumers } = context.config
    const analyticsConfig = { ...consumers.analytics, publish: [] }
    const config = { ...context.config, consumers: { ...consumers, analytics: analyticsConfig } }
    return { ...context, config }
  }
  return {
    ...analytics,
    ...{ name, topics: [topic] },
    open: context => openAnalytics(quiet(context), name),
    createHandling: context => analyticsFactory(quiet(context)),
  }
}

export const archive: ConsumerDefinition = { name: 'archive', open: openArchive }

/** The definition of a consumer that is a pure function. */
export const handlerDefinition = (handler: Handler<unknown>): ConsumerDefinition => ({
  name: handler.name,
  open: context => openHandler(handler, context),
  createHandling: () => async state => createKeyedHandling(handler, state),
})

/** Opens analytics: aggregates in windows of time, and their read API. */
async function openAnalytics(
  context: ConsumerContext,
  name = 'analytics',
): Promise<OpenedConsumer> {
  const { config, runtime, stack } = context
  const { http, holdMaxMs, clockWaitMs, timeZone, siteTimeZones } = config.consumers.analytics
  const state = openState(name, context)
  const { handleRequest } = stack.use(
    await openAnalyticsApi({ state, holdMaxMs, clockWaitMs, timeZone, siteTimeZones }),
  )
  const options = { commitEveryMs: ANALYTICS_COMMIT_EVERY_MS }
  const factory = analyticsFactory(context)
  const openWork = createStatefulOpener(name, runtime, state, factory, options)
  const check = checkOf(name, state, context)
  return { http, key: 'consumers.analytics.http', handleRequest, openWork, check }
}

function analyticsFactory({ config, runtime, kafka, signal }: ConsumerContext): HandlingFactory {
  const clockOffsets = startClockNoteReader({
    ...{ stream: kafka.stream, topic: config.kafka.topics.ledger, signal },
    onUnavailable: runtime.dependencyReporter('clock notes'),
  })
  return async state =>
    createAnalytics(state, {
      ...config.consumers.analytics,
      clockOffsets: await clockOffsets,
      onImplausibleValues: count => runtime.metrics.countFault('absurd', count),
    })
}

/** Opens the archive: every event in Parquet files. */
async function openArchive({ config, runtime, log }: ConsumerContext): Promise<OpenedConsumer> {
  const { http, ...options } = config.consumers.archive
  const { decodeRecords, retryWhileUnavailable, deadLetterTopic, metrics } = runtime
  const openPartition = createArchive({
    ...{ name: 'archive', ...options, disk: durableFilesystem },
    ...{ decodeRecords, retryWhileUnavailable, deadLetterTopic },
    produceDeadLetters: runtime.createDeadLetterProducer(),
    onSealed: (partition, day, sha256) =>
      log.info(
        { partition, day, sha256 },
        'first manifest line (seal) of the day written; store its hash where nobody can change it',
      ),
    onCommitted: metrics.countRecords,
    onCompacted: (partition, counts) => log.info({ partition, ...counts }, 'files merged'),
    onNotCompacted: (partition, reason) =>
      log.warn({ partition, reason }, 'some files are not merged; ./sluice archive verify'),
  })
  const openWork: Consumer['open'] = (partition, signal) =>
    retryWhileUnavailable(() => openPartition(partition), signal)
  return { http, key: 'consumers.archive.http', openWork }
}

async function openHandler(
  handler: Handler<unknown>,
  context: ConsumerContext,
): Promise<OpenedConsumer> {
  const { config, runtime } = context
  const access = openState(handler.name, context)
  const openWork = createStatefulOpener(handler.name, runtime, access, async state =>
    createKeyedHandling(handler, state),
  )
  const check = checkOf(handler.name, access, context)
  return { http: config.consumers.http, key: 'consumers.http', openWork, check }
}

/** The check of a state in a directory; a state in PostgreSQL is shared and needs none. */
function checkOf(
  name: string,
  state: ConsumerStateAccess,
  { config, runtime: { topics, groupId }, kafka }: ConsumerContext,
): OpenedCheck {
  if (config.consumers.postgresUrl) return async () => {}
  return createEmptyStateCheck({ name, groupId, topics, kafka, state })
}

function openState(name: string, { config, stack }: ConsumerContext): ConsumerStateAccess {
  return stack.use(openCurrentVersion(stack.use(openConfiguredStore(config)), name))
}

/** Opens the configured storage of the consumers' states. */
export function openConfiguredStore({ consumers: { dir, postgresUrl } }: Config): StateStore {
  return openStateStore({ dir, postgresUrl: postgresUrl?.reveal() ?? null })
}
