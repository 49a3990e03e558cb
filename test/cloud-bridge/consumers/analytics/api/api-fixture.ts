import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAnalytics } from '../../../../../cloud-bridge/consumers/analytics/analytics.ts'
import {
  type ApiOptions,
  openAnalyticsApi,
} from '../../../../../cloud-bridge/consumers/analytics/api/api.ts'
import { windowSizes } from '../../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'
import { openSqliteStates } from '../../../../../cloud-bridge/consumers/state/sqlite.ts'
import type { SensorReading } from '../../../../../config/event/sensor-reading.ts'
import { serveHttp } from '../../../../../config/process/http-server.ts'
import { findFreePort } from '../../../../../simulators/kafka/free-port.ts'

export const HOLD_MAX_MS = 3_600_000

const options = {
  ...{ topic: 'aggregates', publish: windowSizes, latenessMs: 0 },
  ...{ seriesMax: 1000, clockWaitMs: 0, holdMaxMs: HOLD_MAX_MS, onImplausibleValues: () => {} },
  clockOffsets: { offsetOf: () => null },
}

/** Opens the API over readings that were aggregated, each in the partition of `partitionOf`. */
export async function openFilledApi(
  events: readonly SensorReading[],
  partitionOf: (event: SensorReading) => number,
  now: () => number,
  { siteTimeZones = [], ...apiOptions }: Partial<ApiOptions> = {},
) {
  await using stack = new AsyncDisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'sluice-api-'))
  stack.defer(() => rmSync(dir, { recursive: true, force: true }))
  const store = stack.use(openSqliteStates(dir))
  const state = stack.use(await store.open('analytics'))
  for (const [partition, ofPartition] of Map.groupBy(events, partitionOf)) {
    const claimed = await state.claim(partition)
    const handling = await createAnalytics(claimed, { ...options, siteTimeZones })
    const received = ofPartition.map(event => ({
      ...{ event, arrival: 'in order' as const, topic: 'readings' },
      record: {
        ...{ partition, offset: 0, key: null, value: Buffer.alloc(0), headers: {} },
        appendTimeMs: event.receivedAt,
      },
    }))
    await handling.load(received)
    for (const receivedEvent of received) handling.handle(receivedEvent)
    await handling.prepareCommit?.()
    await claimed.commit(handling.drainChanges())
  }
  const api = stack.use(
    await openAnalyticsApi({
      state,
      holdMaxMs: HOLD_MAX_MS,
      clockWaitMs: 0,
      now,
      siteTimeZones,
      ...apiOptions,
    }),
  )
  const port = await findFreePort()
  stack.use(
    await serveHttp({
      ...{ key: 'consumers.analytics.http', host: '127.0.0.1', port, fallback: api.handleRequest },
      ...{
        notReadyReasons: () => [],
        metrics: async () => '',
        state: () => ({ part: 'consumer' }),
      },
    }),
  )
  const owned = stack.move()
  return {
    /** The status and the body of the response to a request. */
    async ask(path: string) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      const { status, headers } = response
      return { status, headers, body: JSON.parse(await response.text()) }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
