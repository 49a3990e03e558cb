import type { SensorReading } from '../../config/event/sensor-reading.ts'
import { addDeferralNote, type DeferralLedger } from './deferred.ts'
import { createEpochLedger, type EpochLedger } from './epoch.ts'
import type { Explanation, LedgerNote, LostNotes } from './notes.ts'
import { addPartitionCountChange, type PartitionCountChange } from './partition-moves.ts'

/** What the ledger needs of an event. */
export type LedgerEvent = Pick<
  SensorReading,
  'gateway' | 'epoch' | 'sequence' | 'zone' | 'zoneSequence' | 'receivedAt'
> & {
  /** When Kafka got it (ms since 1970). */
  heardAt: number
  /** Where among the readings it is; undefined when it is in another topic. */
  partition?: number | undefined
}

/**
 * By partition of the readings: when Kafka got the oldest record that it still has (ms since 1970),
 * because it has deleted what was before; -Infinity where it has deleted nothing. A partition
 * without records tells nothing and is not here.
 */
export type LogStarts = ReadonlyMap<number, number>

/** What is known of one gateway; it grows with holes, zones and restarts, not with events. */
export type GatewayLedger = {
  gateway: string
  epochs: Map<number, EpochLedger>
  /** By outbox, because a note names numbers of its outbox and seldom the epoch. */
  explanations: Map<string, Explanation[]>
  lostNotes: (LostNotes & { store: string })[]
  /** By outbox: what is to come later than what stands behind it. */
  behind: Map<string, DeferralLedger>
  /** By outbox: where zones went on in other partitions. */
  spreads: Map<string, PartitionCountChange[]>
  /** When Kafka got the newest event and the newest heartbeat; null before the first. */
  eventHeardAt: number | null
  heartbeatHeardAt: number | null
  /** When its oldest event in a partition was received, which tells what may be deleted there. */
  oldestIn: Map<number, number>
  /** The partition that all events of a zone came in; null where it was not always the same. */
  partitions: Map<string, number | null>
  events: number
  duplicates: number
  strange: number
}

/**
 * The proof of completeness: fed with events and notes, in any order and as often as they come.
 * What it comes to is for `conclude` to say, at any moment.
 */
export function createLedger() {
  const gateways = new Map<string, GatewayLedger>()
  const cuts = new Map<number, number>()
  const backlogCuts = new Map<number, number>()

  const gatewayOf = (gateway: string): GatewayLedger => {
    let known = gateways.get(gateway)
    if (!known) {
      const none = { eventHeardAt: null, heartbeatHeardAt: null }
      const counts = { events: 0, duplicates: 0, strange: 0 }
      const empty = { epochs: new Map(), explanations: new Map(), lostNotes: [], behind: new Map() }
      const places = { oldestIn: new Map(), partitions: new Map(), spreads: new Map() }
      known = { gateway, ...empty, ...places, ...none, ...counts }
      gateways.set(gateway, known)
    }
    return known
  }
  const epochOf = ({ epochs }: GatewayLedger, epoch: number): EpochLedger => {
    let known = epochs.get(epoch)
    if (!known) {
      known = createEpochLedger(epoch)
      epochs.set(epoch, known)
    }
    return known
  }

  return {
    gateways: gateways as ReadonlyMap<string, GatewayLedger>,
    /** See `Cuts`. */
    cuts: cuts as LogStarts,
    /** The same of the topic in which backlogs are; Infinity where nothing is left. */
    backlogCuts: backlogCuts as LogStarts,
    cutBacklog: (partition: number, heardAt: number) => void backlogCuts.set(partition, heardAt),
    /** What Kafka still has of a partition of the readings begins here; to be said before. */
    cut(partition: number, heardAt: number): void {
      cuts.set(partition, heardAt)
      for (const { oldestIn } of gateways.values()) oldestIn.delete(partition)
    },
    addEvent({ gateway, epoch, zone, zoneSequence, receivedAt, ...where }: LedgerEvent): void {
      const known = gatewayOf(gateway)
      const { sequence, heardAt, partition } = where
      const mark = { sequence, at: receivedAt, heardAt }
      const found = epochOf(known, epoch).add(mark, zone, zoneSequence)
      if (found === 'duplicate') known.duplicates++
      else known.events++
      if (found === 'strange') known.strange++
      known.eventHeardAt = Math.max(known.eventHeardAt ?? heardAt, heardAt)
      if (partition === undefined) return
      if (!known.oldestIn.has(partition)) known.oldestIn.set(partition, receivedAt)
      const isSame = (known.partitions.get(zone) ?? partition) === partition
      if (!isSame || !known.partitions.has(zone))
        known.partitions.set(zone, isSame ? partition : null)
    },
    addNote(note: LedgerNote): void {
      const { gateway, store, at, heardAt, sequence } = note
      const said = { at, heardAt, note: sequence }
      const known = gatewayOf(gateway)
      if (note.kind === 'epoch') {
        const { epoch, firstSequence: first, previous } = note
        epochOf(known, epoch).begin({ store, first, ...said })
        if (previous) {
          const closed = epochOf(known, previous.epoch)
          closed.claim(previous, store, said)
          closed.close()
        }
      } else if (note.kind === 'heads')
        epochOf(known, note.heads.epoch).claim(note.heads, store, said)
      else if (note.kind === 'explanation') addExplanation(known, note)
      else if (note.kind === 'spread') {
        const spreads = known.spreads.get(store) ?? []
        known.spreads.set(store, spreads)
        addPartitionCountChange(spreads, note.spread)
      } else if (note.kind !== 'other' && note.kind !== 'clock') addDeferralNote(known, note)
      if (note.kind !== 'epoch' && note.kind !== 'heads') return
      known.heartbeatHeardAt = Math.max(known.heartbeatHeardAt ?? heardAt, heardAt)
    },
  }
}

type ExplanationNote = Extract<LedgerNote, { kind: 'explanation' }>

function addExplanation(known: GatewayLedger, { store, ...note }: ExplanationNote): void {
  const { lostNotes, explanation } = note
  for (const lost of lostNotes) {
    const isKnown = known.lostNotes.some(
      one => one.store === store && one.origin === lost.origin && one.from === lost.from,
    )
    if (!isKnown) known.lostNotes.push({ store, ...lost })
  }
  if (!explanation) return
  const all = known.explanations.get(store) ?? []
  known.explanations.set(store, all)
  const { from, to, spans } = explanation
  const isAlike = (one: Explanation) => (one.spans !== undefined) === (spans !== undefined)
  const before = all.findLast(one => one.from <= from && isAlike(one))
  // No number goes twice when events are thinned, so the first one tells which note it is.
  if (spans && before?.from === from) return
  if (!spans && before && isSame(before, explanation)) {
    if (before.to >= to) return
    if (continues(before, explanation)) {
      extend(before, explanation)
      return
    }
  }
  const near = all.findLastIndex(one => one.from <= from)
  all.splice(near + 1, 0, { ...explanation, zones: explanation.zones.map(zone => ({ ...zone })) })
}

const isSame = (one: Explanation, other: Explanation) =>
  one.kind === other.kind && one.reason === other.reason && one.epoch === other.epoch

/** Whether one note goes on where a like one ended, in each zone: one tells as much as two. */
function continues(before: Explanation, next: Explanation): boolean {
  if (before.to + 1 !== next.from) return false
  if ((before.zones.length === 0) !== (next.zones.length === 0)) return false
  return next.zones.every(({ zone, first }) => {
    const known = before.zones.findLast(range => range.zone === zone)
    // A zone that begins may be one of the next epoch.
    return known ? known.first + known.count === first : next.epoch !== null
  })
}

function extend(before: Explanation, next: Explanation): void {
  before.to = next.to
  for (const range of next.zones) {
    const known = before.zones.findLast(({ zone }) => zone === range.zone)
    if (known) known.count += range.count
    else before.zones.push({ ...range })
  }
}
