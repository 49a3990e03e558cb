import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import type { Tombstone } from '../../../../gateway/store/notes/note-kinds.ts'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import {
  countInSpans,
  isSpan,
  type Span,
  subtractSpans,
} from '../../../../gateway/store/sequence/spans.ts'
import type { BridgePosition, StorePromises } from '../recording/marks.ts'
import { zoneOf } from '../workload/numbered-content.ts'

/** `position` is where the inbox that is there now has the bridge go on. */
type Judged = {
  key: number
  promised: StorePromises
  position: BridgePosition
  events: SensorReading[]
  /** Notes that are stored, and before them those that were delivered. */
  notes: OutgoingNote[]
  firstStoredNote: number
}

/**
 * How much is not there any more that neither was delivered, as the inbox knows, nor is named by
 * a tombstone; `wrong` is told of what went without being asked for, or is named falsely.
 */
export function judgeDeletions(judged: Judged, wrong: (what: string) => void): number {
  const { key, promised, position, events, notes, firstStoredNote } = judged
  const { letGo } = promised
  const stored = spansOf(events)
  const [first, last] = [stored[0]?.from ?? 1, stored.at(-1)?.to ?? 0]
  // Salvage may find what was deleted, on a page that nobody uses any more: then it arrives.
  const isHealed = notes.some(({ kind }) => kind === 'salvage')
  const tombstones = notes.filter(isTombstone).map(({ content }) => content)
  for (const tombstone of tombstones) {
    const { from, to } = tombstone
    const isTold = isSpan(tombstone) && (isHealed || to < first) && to <= letGo.readings
    if (!isTold || tombstone.count !== to - from + 1) wrong(`a tombstone says ${from} to ${to}`)
    else if (zonesText(tombstone.zones) !== zonesText(zonesIn(key, tombstone)))
      wrong(`a tombstone from ${from} names other zones`)
  }
  if (first - 1 > letGo.readings) wrong(`events before ${first} went unasked`)
  if (firstStoredNote > letGo.notesBefore) wrong(`notes before ${firstStoredNote} went unasked`)
  for (const { kind, content } of notes.filter(({ kind }) => /^(hole|quarantine)$/.test(kind))) {
    const isDropped = isSpan(content) && subtractSpans(content, tombstones).length === 0
    if (!isDropped) wrong(`a ${kind} is claimed: ${content.from} to ${content.to}`)
  }
  if (stored.length > 1 && !isHealed) wrong(`events are gone behind ${stored[0]!.to}`)
  const awaited = { from: Math.max(1, position.next), to: last }
  const undelivered = countInSpans(subtractSpans(awaited, [...tombstones, ...stored]))
  return undelivered + Math.max(0, firstStoredNote - position.nextNote)
}

function spansOf(events: SensorReading[]): Span[] {
  const spans: Span[] = []
  for (const { sequence } of events) {
    const before = spans.at(-1)
    if (before?.to === sequence - 1) before.to = sequence
    else spans.push({ from: sequence, to: sequence })
  }
  return spans
}

type TombstoneNote = OutgoingNote & { content: Tombstone }

const isTombstone = (note: OutgoingNote): note is TombstoneNote => note.kind === 'tombstone'

/** How many events of each zone there are between two numbers. */
function zonesIn(key: number, { from, to }: { from: number; to: number }): Tombstone['zones'] {
  const counts = new Map<string, number>()
  for (let number = from; number <= to; number++) {
    const zone = zoneOf(key, number)
    counts.set(zone, (counts.get(zone) ?? 0) + 1)
  }
  return [...counts].map(([zone, count]) => [zone, 0, count])
}

const zonesText = (zones: Tombstone['zones']) =>
  JSON.stringify(zones.map(([zone, , count]) => [zone, count]).sort())

/** Whether a note that begins an epoch tells how far each zone of the one before had come. */
export function areZoneHeadsRight(key: number, notes: OutgoingNote[]): boolean {
  const [before, last] = notes.filter(({ kind }) => kind === 'epoch').slice(-2)
  if (!before || !last) return true
  const span = {
    from: Number(before.content.firstSequence),
    to: Number(last.content.firstSequence) - 1,
  }
  const previous = last.content.previous as { zones: [string, number][] }
  const told = previous.zones.map(([zone, count]): Tombstone['zones'][0] => [zone, 0, count])
  if (zonesText(told) !== zonesText(zonesIn(key, span)))
    console.error(
      JSON.stringify(span),
      zonesText(told),
      zonesText(zonesIn(key, span)),
      JSON.stringify(notes.slice(-6).map(n => [n.sequence, n.kind, n.content])),
    )
  return zonesText(told) === zonesText(zonesIn(key, span))
}
