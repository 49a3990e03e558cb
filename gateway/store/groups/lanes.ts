import type { Config } from '../../../config/config.ts'
import type { Reading } from '../../../config/event/sensor-reading.ts'
import { standardLane } from '../../../config/syntax/routes.ts'

/** A reading and the lane it is kept in; the standard one if none is named. */
export type AcceptedReading = Reading & { lane?: string | undefined }

/** Parts what is committed together by lane, lanes in the order in which they first occur. */
export function splitByLane<T extends { lane?: string | undefined }>(all: T[]): T[][] {
  const [first] = all
  if (!first) return []
  if (all.every(({ lane }) => lane === first.lane)) return [all]
  return [...Map.groupBy(all, laneOf).values()]
}

export const laneOf = ({ lane }: { lane?: string | undefined }): string => lane ?? standardLane

type Policies = Pick<Config['outbox'], 'lanes' | 'whenFull'>
export type LanePolicy = Policies['whenFull']

/** What happens to each lane at a bound; to all that are not named the same. */
export function createLanePolicies({ lanes, whenFull }: Policies) {
  const all = [whenFull, ...Object.values(lanes).map(lane => lane.whenFull)]
  return {
    of: (lane: string): LanePolicy =>
      Object.hasOwn(lanes, lane) ? lanes[lane]!.whenFull : whenFull,
    /** Whether any lane has this policy. */
    has: (policy: LanePolicy) => all.includes(policy),
  }
}
