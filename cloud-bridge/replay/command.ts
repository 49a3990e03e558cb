import { CannotDo, type Command } from '../../config/telemetry/commands.ts'
import type { EventSource } from '../../gateway/store/event-source.ts'
import { openOutboxView, type Window } from '../../gateway/store/outbox-view.ts'
import { replayReason } from '../../gateway/store/replays.ts'
import { runsIn } from './runs.ts'

/** How many replays may wait; a clock that jumped to and fro makes several of one time. */
const REPLAYS_MAX = 100

export type ReplayOptions = {
  outboxFile: string
  source: EventSource
  topic: string
  /** How many partitions a topic has; rejects while nobody knows. */
  partitionsOf(topic: string): Promise<number>
}

/**
 * What an operator may ask of the bridge: `{from, to, zone}` (ms since 1970, a name or nothing)
 * sends the events received from then on and before then once more. Only what was delivered: the
 * rest is on its way. The answer is `{topic, runs}`.
 */
export function replayCommand(options: ReplayOptions): Command {
  return async input => {
    const window = windowOf(input)
    const { topic, source } = options
    const open = source.ranges.find(({ end }) => end === null)
    if (!open) throw new CannotDo(503, 'nothing was delivered yet')
    await checkTopic(options, open.partitions)
    const view = openOutboxView(options.outboxFile)
    if (!view) throw new CannotDo(503, 'there is no outbox')
    using _closed = { [Symbol.dispose]: view.close }
    const runs = await runsIn(view, window, open.next - 1)
    if (!source.store?.id.equals(view.store)) {
      throw new CannotDo(503, 'the outbox is being replaced: ask again')
    }
    const waiting = source.ranges.length - 1
    if (waiting + runs.length > REPLAYS_MAX) {
      const reason = `${runs.length} pieces are too many: ${waiting} replays wait already`
      throw new CannotDo(409, `${reason}, of at most ${REPLAYS_MAX}. Ask for a shorter time`)
    }
    const zones = window.zone === undefined ? null : JSON.stringify([window.zone])
    const reason = replayReason(window.fromMs, window.toMs)
    for (const { from: next, to: end } of runs) {
      source.addReplay({ next, end, topic, partitions: open.partitions, zones, reason })
    }
    return { topic, runs }
  }
}

function windowOf({ from, to, zone }: Record<string, unknown>): Window {
  const isTime = (value: unknown) => Number.isInteger(value) && Math.abs(Number(value)) <= 8.64e15
  if (!isTime(from) || !isTime(to) || Number(from) >= Number(to)) {
    throw new CannotDo(400, 'from and to must be ms since 1970, from the earlier')
  }
  if (zone !== undefined && typeof zone !== 'string') throw new CannotDo(400, 'zone must be a name')
  return { fromMs: Number(from), toMs: Number(to), zone }
}

/** A replay to a topic that cannot take it would wait for ever. */
async function checkTopic({ topic, partitionsOf }: ReplayOptions, needed: number): Promise<void> {
  const found = await partitionsOf(topic).catch((error: Error) => {
    throw new CannotDo(503, `kafka.topics.backfill = ${topic} cannot be asked: ${error.message}`)
  })
  if (found >= needed) return
  const reason = `kafka.topics.backfill = ${topic} has ${found} partitions`
  throw new CannotDo(409, `${reason}, and readings are spread over ${needed}: give it as many`)
}
