import { setImmediate as rest, setTimeout as sleep } from 'node:timers/promises'
import { decodeEvent } from '../../config/events.ts'
import type { EventSource } from '../../gateway/store/event-source.ts'
import type { StoredEvent } from '../../gateway/store/group.ts'
import type { Inbox, Range } from '../../gateway/store/inbox.ts'
import { NOT_REPLAYED } from '../../gateway/store/replays.ts'
import { type Batch, type ForwarderOptions, type Sender, startForwarder } from '../forwarder.ts'
import { unlessDiskIsFull } from '../full-disk.ts'
import { explaining, type PartitionsOf, topicFault } from './topic.ts'

const LOOK_EVERY_MS = 200

type CarryOptions = Pick<ForwarderOptions<never>, 'frame' | 'limits' | 'backoff' | 'signal'> & {
  source: EventSource
  inbox: Pick<Inbox, 'addNotes'>
  sink: Sender
  topic: string
  partitionsOf: PartitionsOf
  /** Whether live events wait; they go first. */
  isLiveBehind(): boolean
  onReplayed(batch: Batch): void
  /** Null: replays go to Kafka. */
  onState(away: string | null): void
}

/**
 * Sends once more what was asked for, in what the live events leave of the time, until asked to
 * end. What Kafka refuses for good, or is not there any more, becomes a note.
 */
export async function carryReplays(options: CarryOptions): Promise<void> {
  const { source, inbox, topic, signal, onState } = options
  const needed = () => Math.max(...source.ranges.map(({ partitions }) => partitions))
  const { take, settle, turn } = source.replays
  let taken: ReturnType<typeof take> = null
  const forwarder = startForwarder({
    source: { settle, take: limits => (taken = take(limits)) },
    signal,
    sink: explaining(options.sink, name => topicFault(name, needed(), options.partitionsOf)),
    frame: options.frame,
    limits: options.limits,
    backoff: options.backoff,
    onUnavailable: onState,
    onRejected: (event, reason) => inbox.addNotes([notReplayed(event, reason, taken!.range)]),
    onDelivered: (_, batch) => {
      options.onReplayed(batch)
      onState(null)
    },
  })
  while (!signal.aborted) {
    const step = async () => {
      turn(topic)
      return options.isLiveBehind() ? 'nothing' : await forwarder.step()
    }
    const did = await unlessDiskIsFull(step, 'nothing', onState)
    if (did === 'nothing') await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {})
    else {
      await forwarder.pace()
      // Where nothing is of the zone, nothing was waited for.
      await rest()
    }
  }
}

/** It was delivered, or refused and noted, before: so this is no hole, and no dead letter. */
function notReplayed({ sequence, value }: StoredEvent, reason: string, range: Range) {
  const { epoch, zone, zoneSequence } = decodeEvent(value)
  const span = { from: sequence, to: sequence, range: range.id, store: range.store.toString('hex') }
  const which = { ...span, asked: range.reason, epoch, zone, zoneSequence }
  return { kind: NOT_REPLAYED, content: { ...which, reason } }
}
