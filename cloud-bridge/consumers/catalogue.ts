import type { RequestListener } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { openLog } from '../../config/process/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { startAnalytics } from './analytics/analytics.ts'
import { openApi } from './analytics/api/api.ts'
import { startArchive } from './archive/archive.ts'
import { realDisk } from './archive/files/durable-filesystem.ts'
import { openClockNotes } from './clock/clock-notes.ts'
import { type ConsumerProcess, statefulOpener } from './process.ts'
import type { Handling } from './runtime/handler.ts'
import { type Handler, startKeyed } from './runtime/keyed-handler.ts'
import type { Consumer } from './runtime/partition-work.ts'
import { openStateStore } from './state/configured-store.ts'
import { followCurrent } from './state/current-version.ts'
import type { AnyVersion, PartitionState, StateStore } from './state/state.ts'

/** What a consumer is opened with; what it opens it puts on the stack. */
export type Place = {
  config: Config
  runtime: ConsumerProcess
  kafka: KafkaClient
  stack: AsyncDisposableStack
  log: ReturnType<typeof openLog>
  signal: AbortSignal
}

export type Opened = {
  /** Its pages, and the key that they are configured by. */
  http: { host: string; port: number }
  key: string
  /** Answers what is none of its pages. */
  answer?: RequestListener
  work: Consumer['open']
}

/** How a consumer handles the events of a partition on its state. */
export type Start = (state: PartitionState) => Promise<Handling>

export type Definition = {
  name: string
  open(place: Place): Promise<Opened>
  /** Of a consumer that has a state, which can be built anew. */
  start?(place: Place): Start
  /** What comes so soon behind a commit waits for the next one, in ms; 0 when it is left out. */
  commitEveryMs?: number
}

/** Nobody waits for a window as for an alert, and a block is written once for many points. */
const COMMIT_EVERY_MS = 1000

export const analytics: Definition = {
  name: 'analytics',
  open: openAnalytics,
  start: startingAnalytics,
  commitEveryMs: COMMIT_EVERY_MS,
}

export const archive: Definition = { name: 'archive', open: openArchive }

/** A consumer that is a pure function. */
export const definitionOf = (handler: Handler<unknown>): Definition => ({
  name: handler.name,
  open: place => openHandler(handler, place),
  start: () => async state => startKeyed(handler, state),
})

/** Counts, means, percentiles, energy and occupancy in windows of time, and their read API. */
async function openAnalytics(place: Place): Promise<Opened> {
  const { config, runtime, stack } = place
  const { http, holdMaxMs } = config.consumers.analytics
  const state = openState('analytics', place)
  const api = stack.use(await openApi({ state, holdMaxMs }))
  const options = { commitEveryMs: COMMIT_EVERY_MS }
  const work = statefulOpener('analytics', runtime, state, startingAnalytics(place), options)
  return { http, key: 'consumers.analytics.http', answer: api.answer, work }
}

function startingAnalytics({ config, runtime, kafka, signal }: Place): Start {
  const notes = openClockNotes({
    ...{ stream: kafka.stream, topic: config.kafka.topics.ledger, signal },
    onAway: runtime.onAway('what gateways say of their clocks'),
  })
  return async state =>
    startAnalytics(state, {
      ...config.consumers.analytics,
      corrections: await notes,
      onAbsurd: count => runtime.metrics.fault('absurd', count),
    })
}

/** Every event in Parquet files. */
async function openArchive({ config, runtime, log }: Place): Promise<Opened> {
  const { http, ...options } = config.consumers.archive
  const { read, patience, deadletters, metrics } = runtime
  const bury = runtime.startBurial()
  const open = startArchive({
    ...{ name: 'archive', ...options, disk: realDisk, read, patience, deadletters, bury },
    onSealed: (partition, day, sha256) => log.info({ partition, day, sha256 }, 'sealed'),
    onCommitted: metrics.taken,
  })
  const work: Consumer['open'] = (partition, signal) => patience(() => open(partition), signal)
  return { http, key: 'consumers.archive.http', work }
}

async function openHandler(handler: Handler<unknown>, place: Place): Promise<Opened> {
  const { config, runtime } = place
  const state = openState(handler.name, place)
  const work = statefulOpener(handler.name, runtime, state, async one => startKeyed(handler, one))
  return { http: config.consumers.http, key: 'consumers.http', work }
}

function openState(name: string, { config, stack }: Place): AnyVersion {
  return stack.use(followCurrent(stack.use(storeOf(config)), name))
}

/** Where the states of consumers are kept, as configured. */
export function storeOf({ consumers: { dir, postgresUrl } }: Config): StateStore {
  return openStateStore({ dir, postgresUrl: postgresUrl?.reveal() ?? null })
}
