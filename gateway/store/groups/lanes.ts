import type { Config } from '../../../config/config.ts'
import type { Reading } from '../../../config/event/sensor-reading.ts'
import { standardLane } from '../../../config/syntax/routes.ts'

/** A reading and its lane. A reading without a lane is in the standard lane. */
export type AcceptedReading = Reading & { lane?: string | undefined }

/**
 * Splits the readings of one commit by lane. The lanes are in the order in which they first occur.
 */
export function splitByLane<T extends { lane?: string | undefined }>(readings: T[]): T[][] {
  const [first] = readings
  if (!first) return []
  if (readings.every(({ lane }) => lane === first.lane)) return [readings]
  return [...Map.groupBy(readings, laneOf).values()]
}

/** The lane of a reading. */
export const laneOf = ({ lane }: { lane?: string | undefined }): string => lane ?? standardLane

type Policies = Pick<Config['outbox'], 'lanes' | 'whenFull'>
/** What happens to a lane's events when a bound is reached: a value of `outbox.whenFull`. */
export type LanePolicy = Policies['whenFull']

/**
 * The policy of each lane at a bound. A lane without a policy of its own has the policy
 * `outbox.whenFull`.
 */
export function createLanePolicies({ lanes, whenFull }: Policies) {
  const policies = [whenFull, ...Object.values(lanes).map(lane => lane.whenFull)]
  return {
    of: (lane: string): LanePolicy =>
      Object.hasOwn(lanes, lane) ? lanes[lane]!.whenFull : whenFull,
    /** Whether any lane has this policy. */
    has: (policy: LanePolicy) => policies.includes(policy),
  }
}
