import type { Config } from '../../config/config.ts'
import { type CommandHandler, CommandRefused } from '../../config/process/commands.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { type BatchBoundary, BatchBoundaryTimeout } from './batch-boundary.ts'
import { type PartitionCounter, partitionCount, partitionShortage } from './topic-check.ts'
import { moveObstacle, type ZoneSpread, zoneSpreadOf } from './zone-spread.ts'

const CHANGE_WITHIN_MS = 10_000
/** The largest value that the configuration allows for kafka.partitions. */
const PARTITIONS_MAX = 100_000

export type PartitionsCommandOptions = {
  kafka: Pick<Config['kafka'], 'topics' | 'brokers'>
  source: Pick<EventSource, 'ranges' | 'store' | 'plan'>
  batchBoundary: BatchBoundary
  partitionsOf: PartitionCounter
  /** Why live events wait; null when they are delivered. */
  waitReason(): string | null
  changeWithinMs?: number
}

/** Partition counts of topics in Kafka; 0 for a topic that does not exist. */
type TopicCounts = Record<'readings' | 'backfill', { topic: string; partitions: number }>

/**
 * `spread` is null before the first contact with Kafka; `kafka` is the reason when Kafka does not
 * answer.
 */
export type ShowPartitionsAnswer = { spread: ZoneSpread | null; kafka: TopicCounts | string }

/**
 * Events from `sequence` on are spread over `to` partitions, after the events of `before` are
 * delivered.
 */
export type MovePartitionsAnswer = {
  from: number
  to: number
  sequence: number
  before: ZoneSpread['before']
}

/** The command that shows over how many partitions zones are spread; its input is empty. */
export function createShowPartitionsCommand({
  source,
  ...options
}: PartitionsCommandOptions): CommandHandler {
  return async (): Promise<ShowPartitionsAnswer> => ({
    spread: zoneSpreadOf(source.ranges),
    kafka: await topicCounts(options).catch((error: Error) => error.message),
  })
}

/**
 * The command `{to}`, which spreads zones over another number of partitions, from the next stored
 * event on. The change is durable when the command answers with a MovePartitionsAnswer.
 */
export function createMovePartitionsCommand(options: PartitionsCommandOptions): CommandHandler {
  const { source, batchBoundary, changeWithinMs = CHANGE_WITHIN_MS } = options
  const checkRanges = (to: number) => {
    if (!source.store) throw new CommandRefused(503, 'there is no outbox: start the gateway')
    const obstacle = moveObstacle(to, source.ranges)
    if (obstacle) throw new CommandRefused(409, obstacle)
  }
  const change = (to: number) => (): MovePartitionsAnswer => {
    checkRanges(to)
    const from = zoneSpreadOf(source.ranges)!.partitions
    const sequence = source.plan.changePartitions(to)
    if (sequence === null)
      throw new CommandRefused(503, 'the outbox cannot be read now: try again later')
    return { from, to, sequence, before: zoneSpreadOf(source.ranges)!.before }
  }
  return async ({ to }): Promise<MovePartitionsAnswer> => {
    if (!isPartitionCount(to)) {
      throw new CommandRefused(400, `to must be a number of partitions, 1 to ${PARTITIONS_MAX}`)
    }
    checkRanges(to)
    await checkTopics(options, to)
    try {
      return await batchBoundary.run(change(to), changeWithinMs)
    } catch (error) {
      const { code, message } = error as Error & { code?: unknown }
      const isTemporary =
        error instanceof BatchBoundaryTimeout || String(code).startsWith('SQLITE_')
      if (!isTemporary) throw error
      throw new CommandRefused(503, `nothing was changed, because ${message}. Try again later`)
    }
  }
}

/**
 * Refuses the move while events wait, and when the readings or the backfill topic has fewer than
 * `to` partitions: after an outage, a backlog goes to the backfill topic.
 */
async function checkTopics(options: PartitionsCommandOptions, to: number): Promise<void> {
  const waitReason = options.waitReason()
  if (waitReason !== null) {
    throw new CommandRefused(503, `events wait; move when they are delivered again: ${waitReason}`)
  }
  const counts = await topicCounts(options).catch((error: Error) => {
    throw new CommandRefused(503, `Kafka does not report its partition counts: ${error.message}`)
  })
  for (const key of ['readings', 'backfill'] as const) {
    const { topic, partitions } = counts[key]
    const fault = partitionShortage({ key, topic }, partitions, to)
    if (fault !== null) throw new CommandRefused(409, fault)
  }
}

async function topicCounts({ kafka, partitionsOf }: Omit<PartitionsCommandOptions, 'source'>) {
  if (kafka.brokers.length === 0) {
    throw new Error('kafka.brokers is not configured: list brokers as host:port')
  }
  const { readings, backfill } = kafka.topics
  const countIn = async (topic: string) => ({
    topic,
    partitions: await partitionCount(topic, partitionsOf),
  })
  return { readings: await countIn(readings), backfill: await countIn(backfill) }
}

const isPartitionCount = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= PARTITIONS_MAX
