import type { Backlog } from '../../config/process/status.ts'
import { topicFault } from '../partitions/topic-check.ts'
import type { DeliveryContext } from './context.ts'
import { nullIfDiskIsFull } from './full-disk.ts'

const LOOK_EVERY_MS = 1000
/** A topic that cannot take a backlog is looked at again after so long. */
const ASK_AGAIN_MS = 60_000

export type BacklogSplitter = ReturnType<typeof createBacklogSplitter>

/**
 * Says when so much is so old that fresh readings would wait behind it: it is to be cut off then,
 * and goes to a topic of its own. Where that topic cannot take it, all goes in order, and the flow
 * `backfill` says why.
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
  const flow = flows.begin('backfill')
  let [nextLookMs, nextAskMs] = [0, 0]

  const isDue = (backlog: Backlog | null): boolean =>
    backlog !== null && backlog.events > minEvents && backlog.oldestAgeMs > afterMs
  /** Whether the topic can take it; undefined while nobody can say. */
  const canGo = async (): Promise<boolean | undefined> => {
    if (performance.now() < nextAskMs) return false
    const needed = Math.max(...source.ranges.map(({ partitions }) => partitions))
    const fault = await topicFault(topic, needed, partitionsOf).catch(() => undefined)
    if (typeof fault !== 'string') return fault === null ? true : undefined
    flow.unavailable(`live data waits behind the backlog: ${fault}`)
    nextAskMs = performance.now() + ASK_AGAIN_MS
    return false
  }
  return {
    /** Whether so much waits so long, and the topic can take it. */
    mayCut: async (backlog: Backlog | null) => isDue(backlog) && (await canGo()) === true,
    /** To be called between two batches: cuts off what is live and too old. */
    async look(): Promise<void> {
      if (performance.now() < nextLookMs) return
      nextLookMs = performance.now() + LOOK_EVERY_MS
      const isTooOld = isDue(source.plan.liveBacklog())
      const goes = isTooOld && (await canGo())
      if (!isTooOld || goes) flow.available()
      if (!goes) return
      // Where it cannot be written, all goes in order meanwhile.
      const done = nullIfDiskIsFull(() => source.plan.splitBacklog(topic) ?? true)
      if (done) await flushNotes()
    },
  }
}
