import { setImmediate as yieldToOthers } from 'node:timers/promises'
import type {
  EventFilter,
  OutboxScanItem,
  OutboxView,
} from '../../gateway/store/read/outbox-view.ts'

/** Consecutive sequence numbers, both ends included, and how many of their events match. */
export type SequenceRun = { from: number; to: number; events: number }

type Group = OutboxScanItem & { kind: 'group' }
type View = Pick<OutboxView, 'scanPages' | 'eventsOf'>

/**
 * The runs of sequence numbers within a span that match a filter, one run for each block (adjacent
 * groups without a gap). A run starts and ends with a matching event; between these may be events
 * of other zones, or events from before the clock was set back. Yields to other work after each
 * page.
 */
export async function sequenceRunsIn(
  view: View,
  { zone, ...time }: EventFilter,
  span: { from: number; to: number },
): Promise<SequenceRun[]> {
  const blocks: { first: Group; last: Group; eventsBetween: number }[] = []
  let nextSequence: number | null = null
  for (const page of view.scanPages(span.from, time, span.to)) {
    for (const item of page) {
      if (item.kind !== 'group') {
        nextSequence = null
        continue
      }
      const block = nextSequence === item.sequence ? blocks.at(-1)! : null
      nextSequence = item.sequence + item.count
      if (!block) blocks.push({ first: item, last: item, eventsBetween: 0 })
      else {
        if (block.last !== block.first) block.eventsBetween += matchCount(block.last, zone)
        block.last = item
      }
    }
    await yieldToOthers()
  }
  const runs: SequenceRun[] = []
  for (const { first, last, eventsBetween } of blocks) {
    const head = trimGroup(view, first, { zone, ...time }, span)
    const tail = first === last ? null : trimGroup(view, last, { zone, ...time }, span)
    const events = head.events + eventsBetween + (tail?.events ?? 0)
    if (events > 0) runs.push({ from: head.from, to: (tail ?? head).to, events })
    await yieldToOthers()
  }
  return runs
}

/**
 * The first or last group of a block, trimmed to its first and last matching event. A group without
 * a matching event is trimmed away completely: the returned run begins after the group and ends
 * before it. Such a group has events of the zone and events of the time, but no event of both.
 */
function trimGroup(
  view: View,
  group: Group,
  filter: EventFilter,
  span: { from: number; to: number },
): SequenceRun {
  const events = view.eventsOf(group.sequence, filter)
  const end = group.sequence + group.count
  // An unreadable group stays in the run: the delivery writes a note about the group when it reads
  // the group.
  if ('reason' in events) {
    const count = matchCount(group, filter.zone)
    const [from, to] =
      count === 0
        ? [end, group.sequence - 1]
        : [Math.max(group.sequence, span.from), Math.min(end - 1, span.to)]
    return { from, to, events: count }
  }
  const matching = events.filter(({ sequence }) => sequence >= span.from && sequence <= span.to)
  const [first, last] = [matching[0]?.sequence, matching.at(-1)?.sequence]
  return { from: first ?? end, to: last ?? group.sequence - 1, events: matching.length }
}

function matchCount({ zones }: Group, zoneName: string | undefined): number {
  const matching = zones.filter(({ zone }) => zoneName === undefined || zone === zoneName)
  return matching.reduce((sum, { count }) => sum + count, 0)
}
