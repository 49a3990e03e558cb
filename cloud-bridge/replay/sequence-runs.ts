import { setImmediate as rest } from 'node:timers/promises'
import type {
  EventFilter,
  OutboxScanItem,
  OutboxView,
} from '../../gateway/store/read/outbox-view.ts'

/** Numbers of events one behind the other, ends included, and how many of them are asked for. */
export type SequenceRun = { from: number; to: number; events: number }

type Group = OutboxScanItem & { kind: 'group' }
type View = Pick<OutboxView, 'scanPages' | 'eventsOf'>

/**
 * The numbers within a span of what was received in a window, in as few runs as its groups lie in.
 * A run begins and ends with an event of the window; between them may stand others, of other zones
 * or from before the clock was set back. Lets others have their turn after each page.
 */
export async function sequenceRunsIn(
  view: View,
  { zone, ...time }: EventFilter,
  span: { from: number; to: number },
): Promise<SequenceRun[]> {
  const runs: { first: Group; final: Group; between: number }[] = []
  let behind: number | null = null
  for (const page of view.scanPages(span.from, time, span.to)) {
    for (const found of page) {
      if (found.kind !== 'group') {
        behind = null
        continue
      }
      const run = behind === found.sequence ? runs.at(-1)! : null
      behind = found.sequence + found.count
      if (!run) runs.push({ first: found, final: found, between: 0 })
      else {
        if (run.final !== run.first) run.between += countOf(run.final, zone)
        run.final = found
      }
    }
    await rest()
  }
  const cut: SequenceRun[] = []
  for (const { first, final, between } of runs) {
    const head = edgeOf(view, first, { zone, ...time }, span)
    const tail = first === final ? null : edgeOf(view, final, { zone, ...time }, span)
    const events = head.events + between + (tail?.events ?? 0)
    if (events > 0) cut.push({ from: head.from, to: (tail ?? head).to, events })
    await rest()
  }
  return cut
}

/**
 * The part of the first or last group of a run from the first to the last event asked for. When it
 * has none, it is left out on either side: it may have others of that zone, of another time.
 */
function edgeOf(
  view: View,
  group: Group,
  window: EventFilter,
  span: { from: number; to: number },
): SequenceRun {
  const events = view.eventsOf(group.sequence, window)
  const behind = group.sequence + group.count
  // One that cannot be read is noted as such when its turn comes.
  if ('reason' in events) {
    const count = countOf(group, window.zone)
    const [from, to] =
      count === 0
        ? [behind, group.sequence - 1]
        : [Math.max(group.sequence, span.from), Math.min(behind - 1, span.to)]
    return { from, to, events: count }
  }
  const asked = events.filter(({ sequence }) => sequence >= span.from && sequence <= span.to)
  const [first, final] = [asked[0]?.sequence, asked.at(-1)?.sequence]
  return { from: first ?? behind, to: final ?? group.sequence - 1, events: asked.length }
}

function countOf({ zones }: Group, zone: string | undefined): number {
  const asked = zones.filter(one => zone === undefined || one.zone === zone)
  return asked.reduce((sum, { count }) => sum + count, 0)
}
