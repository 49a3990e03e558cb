import type { Range, RangesEdit } from '../sequence/delivery-range.ts'
import { caughtUpNote, deferralNote, deferralReason, rangeKind } from './range-kind.ts'
import { excludedPartitions, formatZoneFilter, includedPartitions } from './zone-filter.ts'

/** Writes a note and gives its number, in the transaction that changes the ranges. */
export type AddNote = (kind: string, content: object) => number

/**
 * What is live goes to another topic. What is apart goes with it from where it stands, because
 * there each zone may have another partition.
 */
export function redirectLive(all: Range[], topic: string, partitions: number) {
  return (note: AddNote): RangesEdit => {
    const live = all.find(one => one.end === null && rangeKind(one) === 'live')!
    const removed = all.filter(one => one !== live)
    for (const one of removed) if (rangeKind(one) === 'apart') note(...caughtUpNote(one))
    const next = Math.min(...all.map(range => range.next))
    return { removed, changed: [{ ...live, topic, partitions, next, zones: null }] }
  }
}

/**
 * What is live up to `last` becomes a backlog, which goes to a topic behind what comes after; what
 * is left from before a spread is one of its own, because its zones have other partitions.
 */
export function splitBacklog(live: Range[], last: number, topic: string) {
  return (note: AddNote): RangesEdit => {
    const ended = live.flatMap(range => {
      if (range.end !== null) return [range]
      return range.next <= last ? [{ ...range, end: last }] : []
    })
    const fresh = live.filter(({ end, next }) => end === null && next <= last)
    return {
      changed: ended.map(range => backlogOf({ ...range, topic }, note)),
      added: fresh.map(({ id: _, ...rest }) => ({ ...rest, next: last + 1, reason: 'live' })),
    }
  }
}

/** Some partitions of a range have one of their own from where it stands; the rest is at `next`. */
export function isolatePartitions(range: Range, next: number, partitions: number[]) {
  return (note: AddNote): RangesEdit => {
    const { id: _, ...rest } = range
    const own = { ...rest, zones: formatZoneFilter({ only: partitions }) }
    const reason = deferralReason('apart', note(...deferralNote(own, 'apart')), own)
    const without = [...excludedPartitions(range), ...partitions].sort((a, b) => a - b)
    const changed = [{ ...range, next, zones: formatZoneFilter({ without }) }]
    return { changed, added: [{ ...own, reason }] }
  }
}

/** A range apart that has come as far as the live one is a part of it again. */
export function mergeIsolated(apart: Range, live: Range) {
  return (note: AddNote): RangesEdit => {
    if (apart.next !== live.next) throw new Error('a range apart must have come as far')
    note(...caughtUpNote(apart))
    return { removed: [apart], changed: [withPartitionsOf(live, apart)] }
  }
}

/** A range apart is a part of the live one again; what it lacks is a backlog. */
export function splitIsolated(apart: Range, live: Range, topic: string) {
  return (note: AddNote): RangesEdit => {
    note(...caughtUpNote(apart))
    const backlog = backlogOf({ ...apart, end: live.next - 1, topic }, note)
    return { changed: [backlog, withPartitionsOf(live, apart)] }
  }
}

/**
 * What is stored behind `last` is spread over another number of partitions, once all before it is
 * delivered. The border is what is stored, and not what is delivered, because what was sent before
 * a restart and comes once more must go where it went.
 */
export function repartition(live: Range, last: number, partitions: number) {
  return (note: AddNote): RangesEdit => {
    const { topic, store, partitions: from } = live
    const behind = Math.max(last, live.next - 1)
    const over = { from, to: partitions }
    note('spread', { store: store.toString('hex'), topic, behind, partitions: over })
    const { id, ...fresh } = { ...live, partitions, reason: 'live' }
    if (live.next > last) return { changed: [{ id, ...fresh }] }
    const old = { ...live, end: last, reason: 'spread' }
    return { changed: [old], added: [{ ...fresh, next: last + 1 }] }
  }
}

function backlogOf(range: Range, note: AddNote): Range {
  return {
    ...range,
    reason: deferralReason('backlog', note(...deferralNote(range, 'backlog')), range),
  }
}

function withPartitionsOf(live: Range, apart: Range): Range {
  const own = includedPartitions(apart)
  const without = excludedPartitions(live).filter(one => !own.includes(one))
  return { ...live, zones: formatZoneFilter({ without }) }
}
