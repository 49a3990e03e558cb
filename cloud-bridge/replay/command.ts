import { type CommandHandler, CommandRefused } from '../../config/process/commands.ts'
import { rangeKind, replayReason } from '../../gateway/store/delivery/range-kind.ts'
import { type EventFilter, openOutboxView } from '../../gateway/store/read/outbox-view.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { type PartitionCounter, topicFault } from '../partitions/topic-check.ts'
import { type SequenceRun, sequenceRunsIn } from './sequence-runs.ts'

/** How many replays may wait; a clock that jumped to and fro makes several of one time. */
const REPLAYS_MAX = 100

export type ReplayCommandOptions = {
  outboxFile: string
  source: Pick<EventSource, 'ranges' | 'store' | 'addReplay' | 'plan'>
  topic: string
  partitionsOf: PartitionCounter
}

/** What will be sent once more, and where; what it waits for, null when Kafka is there. */
export type ReplayAnswer = { topic: string; runs: SequenceRun[]; waits: string | null }

/**
 * What an operator may ask of the bridge: `{from, to, zone}` (ms since 1970, a name or nothing)
 * sends the events received from then on and before then once more. Only what was delivered: the
 * rest is on its way. The answer is a ReplayAnswer.
 */
export function createReplayCommand(options: ReplayCommandOptions): CommandHandler {
  return async (input): Promise<ReplayAnswer> => {
    const window = windowOf(input)
    const { topic, source } = options
    const open = source.ranges.find(range => range.end === null && rangeKind(range) === 'live')
    if (!open) throw new CommandRefused(503, 'nothing was delivered yet')
    const waits = await whatKeepsFrom(options, open.partitions)
    try {
      const runs = await storedRuns(options, window)
      const waiting = source.ranges.length - 1
      if (waiting + runs.length > REPLAYS_MAX) {
        const reason = `${runs.length} pieces are too many: ${waiting} replays wait already`
        throw new CommandRefused(
          409,
          `${reason}, of at most ${REPLAYS_MAX}. Ask for a shorter time`,
        )
      }
      const { partitions } = open
      const zones = window.zone === undefined ? null : JSON.stringify([window.zone])
      const reason = replayReason(window.fromMs, window.toMs)
      for (const { from: next, to: end } of runs) {
        source.addReplay({ next, end, topic, partitions, zones, reason })
      }
      return { topic, runs, waits }
    } catch (error) {
      const { code, message } = error as Error & { code?: unknown }
      if (!String(code).startsWith('SQLITE_')) throw error
      throw new CommandRefused(
        503,
        `outbox or inbox cannot be used now: ${message}. Ask again later`,
      )
    }
  }
}

async function storedRuns({ outboxFile, source }: ReplayCommandOptions, window: EventFilter) {
  const view = openOutboxView(outboxFile)
  if (!view) throw new CommandRefused(503, 'there is no outbox')
  using _closed = { [Symbol.dispose]: view.close }
  const runs: SequenceRun[] = []
  for (const span of deliveredIn(source.plan.undelivered(window.zone))) {
    runs.push(...(await sequenceRunsIn(view, window, span)))
  }
  if (source.store?.id.equals(view.store)) return runs
  throw new CommandRefused(503, 'the outbox is being replaced: ask again')
}

/** What lies between, from the first number on. */
function deliveredIn(awaited: { next: number; end: number | null }[]) {
  const starts = [1, ...awaited.flatMap(({ end }) => (end === null ? [] : [end + 1]))]
  return awaited
    .map(({ next }, index) => ({ from: starts[index]!, to: next - 1 }))
    .filter(({ from, to }) => from <= to)
}

function windowOf({ from, to, zone }: Record<string, unknown>): EventFilter {
  const isTime = (value: unknown) => Number.isInteger(value) && Math.abs(Number(value)) <= 8.64e15
  if (!isTime(from) || !isTime(to) || Number(from) >= Number(to)) {
    throw new CommandRefused(400, 'from and to must be ms since 1970, from the earlier')
  }
  if (zone !== undefined && typeof zone !== 'string')
    throw new CommandRefused(400, 'zone must be a name')
  return { fromMs: Number(from), toMs: Number(to), zone }
}

/**
 * A replay to a topic that cannot take it would wait until somebody wonders: that is told at once.
 * While nobody can say, because Kafka is away, it may wait like everything else.
 */
async function whatKeepsFrom({ topic, partitionsOf }: ReplayCommandOptions, needed: number) {
  let fault: string | null
  try {
    fault = await topicFault(topic, needed, partitionsOf)
  } catch (error) {
    return (error as Error).message
  }
  if (fault !== null) throw new CommandRefused(409, fault)
  return null
}
