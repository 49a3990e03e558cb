import type { Backlog } from '../../config/process/gateway-state.ts'
import { topicFault } from '../partitions/topic-check.ts'
import type { DeliveryContext } from './delivery-context.ts'
import { nullIfDiskIsFull } from './full-disk.ts'

const CHECK_EVERY_MS = 1000
/** A backfill topic that cannot accept a backlog is checked again after this time. */
const CHECK_TOPIC_AGAIN_MS = 60_000

export type BacklogSplitter = ReturnType<typeof createBacklogSplitter>

/**
 * Splits the backlog off the live events when more than `minEvents` events wait and the oldest has
 * waited longer than `afterMs`, so that fresh readings do not wait for them. The backlog then goes
 * to the backfill topic. While that topic cannot accept the backlog, all events go in order to the
 * readings topic, and the flow `backfill` reports why.
 */
export function createBacklogSplitter({
  config,
  source,
  partitionsOf,
  flows,
  flushNotes,
}: DeliveryContext) {
  const { afterMs, minEvents } = config.bridge.backfill
  const topic = config.kafka.topics.backfill
  const flow = flows.add('backfill')
  let [nextCheckMs, nextTopicCheckMs] = [0, 0]

  const isTooOld = (backlog: Backlog | null): boolean =>
    backlog !== null && backlog.events > minEvents && backlog.oldestAgeMs > afterMs
  /** Whether the backfill topic can accept a backlog; undefined while Kafka does not answer. */
  const canTopicAccept = async (): Promise<boolean | undefined> => {
    if (performance.now() < nextTopicCheckMs) return false
    const needed = Math.max(...source.ranges.map(({ partitions }) => partitions))
    const fault = await topicFault(topic, needed, partitionsOf).catch(() => undefined)
    if (typeof fault !== 'string') return fault === null ? true : undefined
    flow.setWaiting(`live events wait for the backlog: ${fault}`)
    nextTopicCheckMs = performance.now() + CHECK_TOPIC_AGAIN_MS
    return false
  }
  return {
    /** Whether a backlog is large and old enough to be split off, and the topic can accept it. */
    maySplit: async (backlog: Backlog | null) =>
      isTooOld(backlog) && (await canTopicAccept()) === true,
    /** Splits off the live events that waited too long; must be called between two batches. */
    async check(): Promise<void> {
      if (performance.now() < nextCheckMs) return
      nextCheckMs = performance.now() + CHECK_EVERY_MS
      const hasOldBacklog = isTooOld(source.plan.liveBacklog())
      const canSplit = hasOldBacklog && (await canTopicAccept())
      if (!hasOldBacklog || canSplit) flow.setRunning()
      if (!canSplit) return
      // While the inbox's disk is full, nothing is split off: all events go in order to the
      // readings topic.
      const isSplit = nullIfDiskIsFull(() => source.plan.splitBacklog(topic) ?? true)
      if (isSplit) await flushNotes()
    },
  }
}
