import type { RequestListener } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { openLog } from '../../config/telemetry/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { startAnalytics } from './analytics/analytics.ts'
import { openApi } from './analytics/api/api.ts'
import { openArchiveWork } from './archive/archive.ts'
import { realDisk } from './archive/disk.ts'
import { openClockNotes } from './clock-notes.ts'
import { type ConsumerProcess, statefulOpener } from './consumer-process.ts'
import { type Handler, startKeyed } from './runtime/keyed.ts'
import type { Consumer } from './runtime/work.ts'
import { openStateStore } from './state/open.ts'

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

export type Definition = { name: string; open(place: Place): Promise<Opened> }

/** Counts, means, percentiles, energy and occupancy in windows of time, and their read API. */
export async function openAnalytics(place: Place): Promise<Opened> {
  const { config, runtime, kafka, stack, signal } = place
  const { http, ...options } = config.consumers.analytics
  const state = await openState('analytics', place)
  const api = stack.use(await openApi({ state, holdMaxMs: options.holdMaxMs }))
  const notes = openClockNotes({
    ...{ stream: kafka.stream, topic: config.kafka.topics.ledger, signal },
    onAway: runtime.onAway('what gateways say of their clocks'),
  })
  const work = statefulOpener('analytics', runtime, state, async one =>
    startAnalytics(one, {
      ...options,
      corrections: await notes,
      onAbsurd: count => runtime.metrics.fault('absurd', count),
    }),
  )
  return { http, key: 'consumers.analytics.http', answer: api.answer, work }
}

/** Every event in Parquet files. */
export async function openArchive({ config, runtime, log }: Place): Promise<Opened> {
  const { http, ...options } = config.consumers.archive
  const { read, patience, deadletters, metrics } = runtime
  const bury = runtime.startBurial()
  const work: Consumer['open'] = (partition, signal) =>
    patience(
      () =>
        openArchiveWork({
          ...{ name: 'archive', ...options, partition, disk: realDisk },
          ...{ read, patience, deadletters, bury },
          onSealed: (day, sha256) => log.info({ partition, day, sha256 }, 'sealed'),
          onCommitted: metrics.taken,
        }),
      signal,
    )
  return { http, key: 'consumers.archive.http', work }
}

/** A consumer that is a pure function. */
export async function openHandler(handler: Handler<unknown>, place: Place): Promise<Opened> {
  const { config, runtime } = place
  const state = await openState(handler.name, place)
  const work = statefulOpener(handler.name, runtime, state, async one => startKeyed(handler, one))
  return { http: config.consumers.http, key: 'consumers.http', work }
}

async function openState(name: string, { config, stack }: Place) {
  const { dir, postgresUrl } = config.consumers
  const store = stack.use(await openStateStore({ dir, postgresUrl: postgresUrl?.reveal() ?? null }))
  return stack.use(await store.open(name))
}
