import { type CommandHandler, CommandRefused } from '../../config/process/commands.ts'
import { replayReason } from '../../gateway/store/delivery/replay-period.ts'
import { type EventFilter, openOutboxView } from '../../gateway/store/read/outbox-view.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { type PartitionCounter, topicFault } from '../partitions/topic-check.ts'
import { type SequenceRun, sequenceRunsIn } from './sequence-runs.ts'

/**
 * At most this many ranges may wait. A clock that jumped back and forth splits one replay into
 * several ranges.
 */
const RANGES_MAX = 100

export type ReplayCommandOptions = {
  outboxFile: string
  source: Pick<EventSource, 'ranges' | 'store' | 'addReplay' | 'plan'>
  topic: string
  partitionsOf: PartitionCounter
}

/** Which events are replayed to which topic; `waits` is why they wait, null when Kafka answers. */
export type ReplayAnswer = { topic: string; runs: SequenceRun[]; waits: string | null }

/**
 * The command `{from, to, zone}` (ms since 1970, `from` included, `to` excluded; a zone's name or
 * nothing), which replays the delivered events that the gateway received in that time. Undelivered
 * events are on their way already. The answer is a ReplayAnswer.
 */
export function createReplayCommand(options: ReplayCommandOptions): CommandHandler {
  return async (input): Promise<ReplayAnswer> => {
    const filter = parseFilter(input)
    const { topic, source } = options
    const live = source.ranges.find(range => range.end === null && range.kind === 'live')
    if (!live)
      throw new CommandRefused(503, 'no event was delivered yet: there is nothing to replay')
    const waits = await waitReason(options, live.partitions)
    try {
      const runs = await deliveredRuns(options, filter)
      const waiting = source.ranges.length - 1
      if (waiting + runs.length > RANGES_MAX) {
        const reason = `the replay has ${runs.length} ranges, and ${waiting} ranges wait already`
        const cure = 'Choose a shorter period, or try again later'
        throw new CommandRefused(409, `${reason}: at most ${RANGES_MAX} may wait. ${cure}`)
      }
      const { partitions } = live
      const zones = filter.zone === undefined ? null : JSON.stringify([filter.zone])
      const reason = replayReason(filter.fromMs, filter.toMs)
      for (const { from: next, to: end } of runs) {
        source.addReplay({ next, end, topic, partitions, zones, reason })
      }
      return { topic, runs, waits }
    } catch (error) {
      const { code, message } = error as Error & { code?: unknown }
      if (!String(code).startsWith('SQLITE_')) throw error
      throw new CommandRefused(
        503,
        `outbox or inbox cannot be used now: ${message}. Try again later`,
      )
    }
  }
}

async function deliveredRuns({ outboxFile, source }: ReplayCommandOptions, filter: EventFilter) {
  const view = openOutboxView(outboxFile)
  if (!view) throw new CommandRefused(503, 'there is no outbox: start the gateway')
  using _closed = { [Symbol.dispose]: view.close }
  const runs: SequenceRun[] = []
  for (const span of deliveredSpans(source.plan.undelivered(filter.zone))) {
    runs.push(...(await sequenceRunsIn(view, filter, span)))
  }
  if (source.store?.id.equals(view.store)) return runs
  throw new CommandRefused(503, 'the outbox is being replaced: try again')
}

/** The spans between the undelivered ranges, from sequence 1 on. */
function deliveredSpans(undelivered: { next: number; end: number | null }[]) {
  const starts = [1, ...undelivered.flatMap(({ end }) => (end === null ? [] : [end + 1]))]
  return undelivered
    .map(({ next }, index) => ({ from: starts[index]!, to: next - 1 }))
    .filter(({ from, to }) => from <= to)
}

function parseFilter({ from, to, zone }: Record<string, unknown>): EventFilter {
  const isTime = (value: unknown) => Number.isInteger(value) && Math.abs(Number(value)) <= 8.64e15
  if (!isTime(from) || !isTime(to) || Number(from) >= Number(to)) {
    throw new CommandRefused(400, 'from and to must be ms since 1970, and from before to')
  }
  if (zone !== undefined && typeof zone !== 'string') {
    throw new CommandRefused(400, 'zone must be text: the name of a zone')
  }
  return { fromMs: Number(from), toMs: Number(to), zone }
}

/**
 * Why a replay waits while Kafka does not answer, or null. Refuses a topic that cannot accept the
 * replay at once, because such a replay would wait unnoticed.
 */
async function waitReason({ topic, partitionsOf }: ReplayCommandOptions, needed: number) {
  let fault: string | null
  try {
    fault = await topicFault(topic, needed, partitionsOf)
  } catch (error) {
    return (error as Error).message
  }
  if (fault !== null) throw new CommandRefused(409, fault)
  return null
}
