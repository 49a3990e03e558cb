import type { Config } from '../../config/config.ts'
import { type CommandHandler, CommandRefused } from '../../config/process/commands.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { type BatchBoundary, BatchBoundaryTimeout } from './between-batches.ts'
import { type PartitionCounter, partitionCount, partitionShortage } from './topic-check.ts'
import { moveObstacle, type ZoneSpread, zoneSpreadOf } from './zone-spread.ts'

const DECIDE_WITHIN_MS = 10_000
/** As many as a configuration may name. */
const PARTITIONS_MAX = 100_000

export type PartitionsCommandOptions = {
  kafka: Pick<Config['kafka'], 'topics' | 'brokers'>
  source: Pick<EventSource, 'ranges' | 'store' | 'plan'>
  batchBoundary: BatchBoundary
  partitionsOf: PartitionCounter
  /** Why live events do not go now; null: they go. */
  waitReason(): string | null
  decideWithinMs?: number
}

/** Topics in Kafka and their partitions, 0 where there is no such topic. */
type Counts = Record<'readings' | 'backfill', { topic: string; partitions: number }>

/** `spread` is null before the first contact; `kafka` says why, where Kafka does not tell. */
export type ShowPartitionsAnswer = { spread: ZoneSpread | null; kafka: Counts | string }

/** Events from number `sequence` on are spread over `to` partitions, once `before` is delivered. */
export type MovePartitionsAnswer = {
  from: number
  to: number
  sequence: number
  before: ZoneSpread['before']
}

/** What an operator may ask of the bridge, without anything: how zones are spread. */
export function createShowPartitionsCommand({
  source,
  ...options
}: PartitionsCommandOptions): CommandHandler {
  return async (): Promise<ShowPartitionsAnswer> => ({
    spread: zoneSpreadOf(source.ranges),
    kafka: await countsOf(options).catch((error: Error) => error.message),
  })
}

/**
 * What an operator may ask of the bridge: `{to}` spreads zones over another number of partitions,
 * from the next event on that is stored. It is durable when there is an answer, a MoveAnswer.
 */
export function createMovePartitionsCommand(options: PartitionsCommandOptions): CommandHandler {
  const { source, batchBoundary: decisions, decideWithinMs = DECIDE_WITHIN_MS } = options
  const look = (to: number) => {
    if (!source.store) throw new CommandRefused(503, 'there is no outbox')
    const obstacle = moveObstacle(to, source.ranges)
    if (obstacle) throw new CommandRefused(409, obstacle)
  }
  const decide = (to: number) => (): MovePartitionsAnswer => {
    look(to)
    const from = zoneSpreadOf(source.ranges)!.partitions
    const sequence = source.plan.changePartitions(to)
    if (sequence === null) throw new CommandRefused(503, 'the outbox cannot be read now')
    return { from, to, sequence, before: zoneSpreadOf(source.ranges)!.before }
  }
  return async ({ to }): Promise<MovePartitionsAnswer> => {
    if (!isCount(to)) {
      throw new CommandRefused(400, `to must be a number of partitions, 1 to ${PARTITIONS_MAX}`)
    }
    look(to)
    await demandTopics(options, to)
    try {
      return await decisions.ask(decide(to), decideWithinMs)
    } catch (error) {
      const { code, message } = error as Error & { code?: unknown }
      const isUnavailable =
        error instanceof BatchBoundaryTimeout || String(code).startsWith('SQLITE_')
      if (!isUnavailable) throw error
      throw new CommandRefused(503, `nothing was changed, because ${message}. Ask again later`)
    }
  }
}

/** Both topics need as many partitions: the backfill takes what waits when Kafka was away. */
async function demandTopics(options: PartitionsCommandOptions, to: number): Promise<void> {
  const away = options.waitReason()
  if (away !== null)
    throw new CommandRefused(503, `events wait, and can be moved when they go: ${away}`)
  const counts = await countsOf(options).catch((error: Error) => {
    throw new CommandRefused(
      503,
      `Kafka does not say how many partitions there are: ${error.message}`,
    )
  })
  for (const key of ['readings', 'backfill'] as const) {
    const { topic, partitions } = counts[key]
    const fault = partitionShortage({ key, topic }, partitions, to)
    if (fault !== null) throw new CommandRefused(409, fault)
  }
}

async function countsOf({ kafka, partitionsOf }: Omit<PartitionsCommandOptions, 'source'>) {
  if (kafka.brokers.length === 0) throw new Error('kafka.brokers is not configured')
  const { readings, backfill } = kafka.topics
  const found = async (topic: string) => ({
    topic,
    partitions: await partitionCount(topic, partitionsOf),
  })
  return { readings: await found(readings), backfill: await found(backfill) }
}

const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= PARTITIONS_MAX
