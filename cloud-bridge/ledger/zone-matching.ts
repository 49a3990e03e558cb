import { IntervalSet } from '../interval-set.ts'
import { type GapSegment, segmentsBetween, sizeOf } from './gap-segments.ts'

/** What a zone lacks; `isAlone` when no sequence is missing where its numbers must be. */
export type ZoneGapSegment = GapSegment & { zone: string; isAlone?: boolean }

/** How often what is certain is looked for again; what is left then is told with less detail. */
const PASSES_MAX = 8

/**
 * Finds which of the sequences that were not seen are the numbers that zones lack. An event has a
 * sequence and a zone sequence, both rising: so what a zone lacks lies, in sequences, between its
 * neighbours that were seen, and why those sequences were not seen is why its numbers were not.
 * `inZone` is what a piece of sequences comes to if its numbers are of that zone. Gives the pieces
 * of zones, with a reason unless no sequence is missing, and the sequences that belong to no zone.
 */
export function matchZones(
  sequences: readonly GapSegment[],
  lacking: readonly ZoneGapSegment[],
  inZone: (piece: GapSegment, zone: ZoneGapSegment) => GapSegment,
) {
  const taken = new IntervalSet()
  const freeFor = (piece: ZoneGapSegment) =>
    segmentsBetween(sequences, ...sequenceBoundsOf(piece)).flatMap(part =>
      taken.gaps(part.from, part.to).map(({ from, to }) => inZone({ ...part, from, to }, piece)),
    )
  const take = (piece: ZoneGapSegment, parts = freeFor(piece)) => {
    let left = sizeOf(piece)
    // What a note says of sequences is of the same events as what it says of zones.
    const isOwn = ({ why }: GapSegment) => why?.note != null && why.note === piece.why?.note
    for (const { from, to } of [...parts.filter(isOwn), ...parts.filter(one => !isOwn(one))]) {
      if (left === 0) return
      const last = Math.min(to, from + left - 1)
      taken.addRange(from, last)
      left -= last - from + 1
    }
  }
  const told = lacking.filter(({ why }) => why)
  // Who must have a low one chooses first.
  for (const piece of told.toSorted(byBound)) take(piece)
  let open = lacking.filter(({ why }) => !why)
  const tellCertain = () => {
    for (let pass = 0, found = 1; found > 0 && pass < PASSES_MAX; pass++) {
      const unclear = open.filter(piece => {
        const free = freeFor(piece)
        if (sumOf(free) !== sizeOf(piece)) return true
        // As many as the zone lacks: they are its own.
        told.push(...inOrder(piece, free))
        take(piece)
        return false
      })
      found = open.length - unclear.length
      open = unclear
    }
  }
  tellCertain()
  // Partitions are cut at different times: what zones that were cut later may lack is theirs.
  const oldOf = (piece: ZoneGapSegment) => freeFor(piece).filter(isOld)
  const isOfOld = (piece: ZoneGapSegment) => {
    const old = oldOf(piece)
    if (sumOf(old) < sizeOf(piece)) return false
    told.push({ ...piece, why: old[0]!.why })
    take(piece, old)
    return true
  }
  const lastOld = new Map(open.map(piece => [piece, oldOf(piece).at(-1)?.to ?? 0]))
  const byLastOld = open.toSorted((a, b) => lastOld.get(a)! - lastOld.get(b)!)
  const gone = new Set(byLastOld.filter(isOfOld))
  open = open.filter(piece => !gone.has(piece))
  if (gone.size > 0) tellCertain()
  for (const piece of open) told.push(tell(piece, freeFor(piece)))
  for (const piece of open.toSorted(byBound)) take(piece)
  const withoutZone = sequences.flatMap(piece =>
    taken.gaps(piece.from, piece.to).map(({ from, to }) => ({ ...piece, from, to })),
  )
  return { told, withoutZone }
}

/** The sequences between which a zone's piece must be: its neighbours', or what the note says. */
export function sequenceBoundsOf({
  before,
  after,
  why,
}: GapSegment): [above: number, below: number] {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = why?.note ?? {}
  return [
    Math.max(before?.sequence ?? Number.NEGATIVE_INFINITY, from - 1),
    Math.min(after?.sequence ?? Number.POSITIVE_INFINITY, to + 1),
  ]
}

const isOld = ({ why }: GapSegment) => why?.fate === 'expired'
const byBound = (a: GapSegment, b: GapSegment) => sequenceBoundsOf(a)[1] - sequenceBoundsOf(b)[1]
const sumOf = (parts: readonly GapSegment[]) => parts.reduce((sum, part) => sum + sizeOf(part), 0)

/** Cuts a zone's piece where the reason of its sequences changes. */
function inOrder(piece: ZoneGapSegment, parts: readonly GapSegment[]): ZoneGapSegment[] {
  const pieces: ZoneGapSegment[] = []
  let next = piece.from
  for (const { why, ...part } of parts) {
    const to = next + sizeOf(part) - 1
    const last = pieces.at(-1)
    if (last?.why?.fate === why?.fate && last?.why?.reason === why?.reason && last) last.to = to
    else pieces.push({ ...piece, from: next, to, why: why && { ...why, note: null } })
    next = to + 1
  }
  return pieces
}

/** One reason for all of it, when that is certain, or at least when all are explained. */
function tell(piece: ZoneGapSegment, parts: readonly GapSegment[]): ZoneGapSegment {
  const [one] = parts
  if (!one?.why) return { ...piece, isAlone: true }
  const isSame = parts.every(({ why }) => why?.fate === one.why?.fate)
  const isExplained = parts.every(({ why }) => why?.note || why?.fate === 'expired')
  const unclear = { fate: 'missing', reason: 'no note explains all it may be', note: null } as const
  // What is yet to come may be all of it: that is known when it came.
  const mayCome = parts.every(({ why }) => why?.note || why?.fate !== 'missing')
  const later = mayCome && parts.find(({ why }) => why?.fate === 'behind')?.why
  return { ...piece, why: isSame || isExplained ? { ...one.why, note: null } : later || unclear }
}
