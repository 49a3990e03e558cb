import { createAnalytics } from '../../../../cloud-bridge/consumers/analytics/analytics.ts'
import type { WindowSize } from '../../../../cloud-bridge/consumers/analytics/model/series.ts'
import type { ClockOffsetSource } from '../../../../cloud-bridge/consumers/analytics/time/unsynced-readings.ts'
import type { ArrivalCounts, Handling } from '../../../../cloud-bridge/consumers/runtime/handler.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import { openStatefulWork } from '../../../../cloud-bridge/consumers/runtime/stateful-work.ts'
import type { ConsumerState } from '../../../../cloud-bridge/consumers/state/state.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'

export const HOLD_MAX_MS = 3_600_000

type Options = {
  state: ConsumerState
  topic: string
  corrections: ClockOffsetSource
  clockWaitMs?: number
  seriesMax?: number
  onAbsurd?: (count: number) => void
  deadletters?: string
  /** What stands between the work and the handling. */
  start?: (handling: Handling) => Handling
}

/** Analytics on one partition, as its process runs it; `counts` is what was counted so far. */
export async function openAnalytics(options: Options) {
  const { state, topic, clockWaitMs = 1e9, seriesMax = 1000, onAbsurd = () => {} } = options
  const { deadletters = 'deadletters', start = one => one } = options
  const counts: ArrivalCounts = {
    'in order': 0,
    late: 0,
    'out of order': 0,
    duplicate: 0,
    unusable: 0,
  }
  const work = await openStatefulWork({
    ...{ name: 'analytics', state, partition: 0, deadletters },
    read: createRecordDecoder(createEventReader(null), [topic]),
    onEnded: () => {},
    createHandling: async claimed => {
      const handling = await createAnalytics(claimed, {
        ...{
          topic: 'aggregates',
          publish: [] as WindowSize[],
          latenessMs: 0,
          holdMaxMs: HOLD_MAX_MS,
        },
        ...{ seriesMax, clockWaitMs, corrections: options.corrections, onAbsurd },
      })
      return start(handling)
    },
    waitForDependencies: async todo => todo(),
    onCommitted(more) {
      for (const name of Object.keys(more) as (keyof ArrivalCounts)[]) counts[name] += more[name]
    },
  })
  return { work, counts }
}
