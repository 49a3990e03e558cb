import { Intervals } from '../consumers/intervals.ts'
import { type Epoch, firstOf, type Zone } from './epoch.ts'
import {
  between,
  type Explained,
  type Fate,
  type Piece,
  segmentsOf,
  sizeOf,
  unseen,
  type Why,
} from './pieces.ts'

/**
 * Numbers that were given out and are not in Kafka: zone sequences, or sequences where `zone` is
 * null. Between `timeFrom` and `timeTo` (ms since 1970; null: unknown) they were accepted.
 */
export type Hole = {
  gateway: string
  epoch: number | null
  zone: string | null
  from: number
  to: number
  timeFrom: number | null
  timeTo: number | null
  reason: string
  fate: Fate
}

/** By what unexplained numbers are judged. */
export type Judging = {
  /** Sequences above this one may still be on their way. */
  awaitedAbove: number
  /** What was accepted before this moment, Kafka may have deleted by now (ms since 1970). */
  expiredBefore: number
}

export type EpochHoles = {
  holes: Omit<Hole, 'gateway'>[]
  /** The first sequence that is neither seen nor explained; Infinity when there is none. */
  firstOpen: number
}

type Named = { zone: string; pieces: Piece[] }

const because = (fate: Fate, reason: string): Why => ({ fate, reason, note: null })
const MISSING = because('missing', 'no note explains it')
const AWAITED = because('awaited', 'a note names it, and it may be on its way')
const EXPIRED = because('expired', 'Kafka may have deleted it by now')
const isOpen = ({ why }: Piece) => why?.fate === 'missing' || why?.fate === 'awaited'

/**
 * Names what an epoch lacks, by zone where that is certain. An event has a sequence and a zone
 * sequence, both rising: so a zone's hole lies, in sequences, between its two neighbours that are
 * there, and what is known of the sequences there tells what became of it.
 */
export function holesOf(
  epoch: Epoch,
  explained: readonly Explained[],
  judging: Judging,
): EpochHoles {
  const { begun, head, seen } = epoch
  const first = begun?.first ?? seen.lowest ?? 1
  const since = begun?.at ?? null
  const sequences = unseen(seen, first, head?.lastSequence ?? 0, segmentsOf(explained)).flatMap(
    piece => judge(piece, since, judging),
  )
  let firstOpen = sequences.find(isOpen)?.from ?? Number.POSITIVE_INFINITY
  const named: Named[] = zonesOf(epoch, explained).map(({ zone, pieces }) => ({
    zone,
    pieces: pieces.flatMap(piece => {
      if (piece.why) return [piece]
      const inside = between(sequences, ...boundsOf(piece)).filter(
        ({ why }) => !why?.note?.zones.length,
      )
      if (inside.length === 0) firstOpen = Math.min(firstOpen, boundsOf(piece)[0] + 1)
      return tell(piece, inside, since, judging)
    }),
  }))
  const toHole = (zone: string | null) => (piece: Piece) => ({
    epoch: epoch.epoch,
    zone,
    from: piece.from,
    to: piece.to,
    timeFrom: piece.before?.at ?? since,
    timeTo: piece.after?.at ?? head?.at ?? piece.why!.note?.at ?? null,
    reason: piece.why!.reason,
    fate: piece.why!.fate,
  })
  const ofZones = named.flatMap(({ zone, pieces }) => pieces.map(toHole(zone)))
  return { holes: [...ofZones, ...withoutZone(sequences, named).map(toHole(null))], firstOpen }
}

/** Sequences that no note explains: old ones may be expired, the newest be on their way. */
function judge(piece: Piece, since: number | null, judging: Judging): Piece[] {
  if (piece.why) return [piece]
  if (isExpired(piece, since, judging)) return [{ ...piece, why: EXPIRED }]
  const last = Math.min(piece.to, judging.awaitedAbove)
  const parts = [
    { ...piece, to: last, why: MISSING },
    { ...piece, from: Math.max(piece.from, last + 1), why: AWAITED },
  ]
  return parts.filter(part => part.from <= part.to)
}

const isExpired = (piece: Piece, since: number | null, { expiredBefore }: Judging) =>
  (piece.before?.at ?? since ?? Number.NEGATIVE_INFINITY) < expiredBefore

/** What each zone lacks, explained where a note names its numbers. */
function zonesOf(epoch: Epoch, explained: readonly Explained[]): Named[] {
  const byZone = new Map<string, Explained[]>()
  for (const { explanation } of explained) {
    for (const { zone, first, count } of explanation.zones) {
      const all = byZone.get(zone) ?? []
      byZone.set(zone, all)
      all.push({ from: first, to: first + count - 1, explanation })
    }
  }
  // A zone of which nothing came at all; or it is forgotten, because all of it came.
  const others = epoch.isTrimmed ? [] : [...byZone.keys()].filter(zone => !epoch.zones.has(zone))
  const nothing: Zone = { seen: new Intervals(), head: 0, first: 1 }
  const all = [...epoch.zones, ...others.map(name => [name, nothing] as const)]
  return all.map(([name, zone]) => {
    const segments = segmentsOf(byZone.get(name) ?? [])
    return { zone: name, pieces: unseen(zone.seen, firstOf(zone), zone.head, segments) }
  })
}

/** The sequences between which a zone's hole must be: its neighbours', or what the note says. */
function boundsOf({ before, after, why }: Piece): [above: number, below: number] {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = why?.note ?? {}
  return [
    Math.max(before?.sequence ?? Number.NEGATIVE_INFINITY, from - 1),
    Math.min(after?.sequence ?? Number.POSITIVE_INFINITY, to + 1),
  ]
}

/** Tells why a zone's numbers were not seen, by the sequences among which they must be. */
function tell(piece: Piece, inside: Piece[], since: number | null, judging: Judging): Piece[] {
  // An event behind it in its zone has arrived, so it cannot be on its way.
  const settled = (why: Why) => (why === AWAITED && piece.after ? MISSING : why)
  const whys = inside.map(({ why }) => settled(why!))
  const [one] = whys
  if (one && whys.every(why => why.fate === one.fate && why.reason === one.reason)) {
    // Not the note itself: it does not name this zone's numbers.
    return [{ ...piece, why: { ...one, note: null } }]
  }
  const total = inside.reduce((sum, part) => sum + sizeOf(part), 0)
  if (total !== sizeOf(piece)) {
    const isAllExplained = one && whys.every(({ note }) => note)
    const rest = isExpired(piece, since, judging) ? EXPIRED : MISSING
    return [{ ...piece, why: isAllExplained ? { ...one, note: null } : rest }]
  }
  // As many as the zone lacks: they are its own, and in the same order.
  let next = piece.from
  return inside.map(part => {
    const from = next
    next += sizeOf(part)
    return { ...piece, from, to: next - 1, why: { ...settled(part.why!), note: null } }
  })
}

/** The sequences that are left when each number of a zone has taken one of those it may have. */
function withoutZone(sequences: readonly Piece[], named: readonly Named[]): Piece[] {
  const taken = new Intervals()
  const claims = named.flatMap(({ pieces }) => pieces)
  // Who must have a low one chooses first.
  claims.sort((a, b) => boundsOf(a)[1] - boundsOf(b)[1])
  for (const piece of claims) {
    let left = sizeOf(piece)
    for (const part of between(sequences, ...boundsOf(piece))) {
      for (const free of taken.gaps(part.from, part.to)) {
        const to = Math.min(free.to, free.from + left - 1)
        taken.addRange(free.from, to)
        left -= to - free.from + 1
      }
      if (left === 0) break
    }
  }
  return sequences.flatMap(piece =>
    taken.gaps(piece.from, piece.to).map(({ from, to }) => ({ ...piece, from, to })),
  )
}
