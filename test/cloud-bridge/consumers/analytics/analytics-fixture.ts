import { createAnalytics } from '../../../../cloud-bridge/consumers/analytics/analytics.ts'
import { createCalendars } from '../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import type { ClockOffsetSource } from '../../../../cloud-bridge/consumers/analytics/time/unsynced-readings.ts'
import type { ArrivalCounts, Handling } from '../../../../cloud-bridge/consumers/runtime/handler.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import { openStatefulWork } from '../../../../cloud-bridge/consumers/runtime/stateful-work.ts'
import type { ConsumerState } from '../../../../cloud-bridge/consumers/state/state.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'

export const HOLD_MAX_MS = 3_600_000
export const apiContext = {
  holdMaxMs: HOLD_MAX_MS,
  calendars: createCalendars({ timeZone: 'UTC', siteTimeZones: [] }),
}

type Options = {
  state: ConsumerState
  topic: string
  clockOffsets: ClockOffsetSource
  clockWaitMs?: number
  seriesMax?: number
  onImplausibleValues?: (count: number) => void
  deadletters?: string
  /** Wraps the handling. */
  start?: (handling: Handling) => Handling
}

/** Opens analytics on one partition, as its process does; `counts` is updated at each commit. */
export async function openAnalytics(options: Options) {
  const { state, topic, clockOffsets, clockWaitMs = 1e9, seriesMax = 1000 } = options
  const { deadletters = 'deadletters', onImplausibleValues = () => {} } = options
  const { start = handling => handling } = options
  const counts: ArrivalCounts = {
    'in order': 0,
    late: 0,
    'out of order': 0,
    duplicate: 0,
    unusable: 0,
  }
  const work = await openStatefulWork({
    ...{ name: 'analytics', state, partition: 0, deadLetterTopic: deadletters },
    decodeRecords: createRecordDecoder(createEventReader(null), [topic]),
    onEnded: () => {},
    createHandling: async claimed => {
      const handling = await createAnalytics(claimed, {
        ...{ topic: 'aggregates', publish: [], latenessMs: 0, holdMaxMs: HOLD_MAX_MS },
        ...{ seriesMax, clockWaitMs, clockOffsets, onImplausibleValues },
      })
      return start(handling)
    },
    retryWhileUnavailable: async work => work(),
    onCommitted(committed) {
      for (const arrival of Object.keys(committed) as (keyof ArrivalCounts)[]) {
        counts[arrival] += committed[arrival]
      }
    },
  })
  return { work, counts }
}
