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

type StoreAfterCut = {
  key: number
  promises: StorePromises
  /** The bridge's position, as the inbox has it after the cut. */
  position: BridgePosition
  events: SensorReading[]
  /** The stored notes, preceded by the notes that were delivered. */
  notes: OutgoingNote[]
  firstStoredNote: number
}

/**
 * Counts the losses: events and notes that are neither stored, nor delivered according to the
 * inbox, nor named by a tombstone. Calls `onFault` for a deletion without a request, and for a
 * tombstone, hole or quarantine that names the wrong events.
 */
export function judgeDeletions(store: StoreAfterCut, onFault: (fault: string) => void): number {
  const { key, promises, position, events, notes, firstStoredNote } = store
  const { deletable } = promises
  const stored = spansOf(events)
  const [first, last] = [stored[0]?.from ?? 1, stored.at(-1)?.to ?? 0]
  // A salvage may find deleted events in a free page of the file and store the events once more.
  const isSalvaged = notes.some(({ kind }) => kind === 'salvage')
  const tombstones = notes.filter(isTombstone).map(({ content }) => content)
  for (const tombstone of tombstones) {
    const { from, to } = tombstone
    const isPossible = isSpan(tombstone) && (isSalvaged || to < first) && to <= deletable.readings
    if (!isPossible || tombstone.count !== to - from + 1)
      onFault(`a tombstone names ${from} to ${to}`)
    else if (zonesText(tombstone.zones) !== zonesText(zonesIn(key, tombstone)))
      onFault(`a tombstone from ${from} names other zones`)
  }
  if (first - 1 > deletable.readings) onFault(`events before ${first} deleted without a request`)
  if (firstStoredNote > deletable.notesBefore)
    onFault(`notes before ${firstStoredNote} deleted without a request`)
  for (const { kind, content } of notes.filter(({ kind }) => /^(hole|quarantine)$/.test(kind))) {
    const isDropped = isSpan(content) && subtractSpans(content, tombstones).length === 0
    if (!isDropped) onFault(`a false ${kind}: ${content.from} to ${content.to}`)
  }
  if (stored.length > 1 && !isSalvaged) onFault(`events missing after ${stored[0]!.to}`)
  const expected = { from: Math.max(1, position.next), to: last }
  const lostEvents = countInSpans(subtractSpans(expected, [...tombstones, ...stored]))
  return lostEvents + Math.max(0, firstStoredNote - position.nextNote)
}

function spansOf(events: SensorReading[]): Span[] {
  const spans: Span[] = []
  for (const { sequence } of events) {
    const previous = spans.at(-1)
    if (previous?.to === sequence - 1) previous.to = sequence
    else spans.push({ from: sequence, to: sequence })
  }
  return spans
}

type TombstoneNote = OutgoingNote & { content: Tombstone }

const isTombstone = (note: OutgoingNote): note is TombstoneNote => note.kind === 'tombstone'

/** The number of events of each zone between two sequences, both included. */
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

/** Whether the last epoch note has the right zone heads of the previous epoch. */
export function areZoneHeadsRight(key: number, notes: OutgoingNote[]): boolean {
  const [before, last] = notes.filter(({ kind }) => kind === 'epoch').slice(-2)
  if (!before || !last) return true
  const span = {
    from: Number(before.content.firstSequence),
    to: Number(last.content.firstSequence) - 1,
  }
  const previous = last.content.previous as { zones: [string, number][] }
  const claimed = previous.zones.map(([zone, count]): Tombstone['zones'][0] => [zone, 0, count])
  return zonesText(claimed) === zonesText(zonesIn(key, span))
}
