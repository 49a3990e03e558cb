import { setImmediate as rest } from 'node:timers/promises'
import type { Found, OutboxView, Window } from '../../gateway/store/outbox-view.ts'

/** After so many groups others have their turn. */
const REST_EVERY = 100

/** Numbers of events one behind the other, ends included, and how many of them are asked for. */
export type Run = { from: number; to: number; events: number }

type Group = Found & { kind: 'group' }
type View = Pick<OutboxView, 'groupsFrom' | 'eventsOf'>

/**
 * The numbers, up to `last`, of what was received in a window, in as few runs as its groups lie in.
 * A run begins and ends with an event of the window; between them may stand others, of other zones
 * or from before the clock was set back.
 */
export async function runsIn(view: View, { zone, ...time }: Window, last: number): Promise<Run[]> {
  const runs: { first: Group; final: Group; between: number }[] = []
  let behind: number | null = null
  let looked = 0
  for (const found of view.groupsFrom(1, time)) {
    if (looked++ % REST_EVERY === 0) await rest()
    if (found.kind !== 'group' || found.sequence > last) {
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
  return runs.flatMap(({ first, final, between }) => {
    const head = edgeOf(view, first, { zone, ...time }, last)
    const tail =
      first === final ? { ...head, events: 0 } : edgeOf(view, final, { zone, ...time }, last)
    const events = head.events + between + tail.events
    return events === 0 ? [] : [{ from: head.from, to: tail.to, events }]
  })
}

/** Where the first and the last group of a run are cut: at the first and last event asked for. */
function edgeOf(view: View, group: Group, window: Window, last: number): Run {
  const events = view.eventsOf(group.sequence, window)
  const whole = { from: group.sequence, to: Math.min(group.sequence + group.count - 1, last) }
  // One that cannot be read is noted as such when its turn comes.
  if ('reason' in events) return { ...whole, events: countOf(group, window.zone) }
  const asked = events.filter(({ sequence }) => sequence <= last)
  const [first, final] = [asked[0]?.sequence, asked.at(-1)?.sequence]
  return { from: first ?? whole.from, to: final ?? whole.to, events: asked.length }
}

function countOf({ zones }: Group, zone: string | undefined): number {
  const asked = zones.filter(one => zone === undefined || one.zone === zone)
  return asked.reduce((sum, { count }) => sum + count, 0)
}
