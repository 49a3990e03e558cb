import type { NamedLostNotes } from './named-lost-notes.ts'
import type { Explanation, LedgerNote } from './notes.ts'

type ExplanationNote = Extract<LedgerNote, { kind: 'explanation' }>

/** What notes explain of one gateway; the explanations by outbox, in the order of `from`. */
type Account = {
  explanations: Map<string, Explanation[]>
  lostNotes: NamedLostNotes[]
}

/**
 * Adds a note that explains numbers, or that reports lost notes. Duplicates change nothing. A note
 * that continues an explanation of the same kind, reason and epoch extends that explanation, so the
 * list grows with gaps and not with notes.
 */
export function addExplanation(known: Account, note: ExplanationNote): void {
  const { store, run, appendTimeMs, lostNotes, explanation } = note
  for (const lost of lostNotes) {
    const isKnown = known.lostNotes.some(
      other =>
        other.store === store &&
        other.run === run &&
        other.origin === lost.origin &&
        other.from === lost.from,
    )
    if (!isKnown) known.lostNotes.push({ store, run, appendTimeMs, ...lost })
  }
  if (!explanation) return
  const explanations = known.explanations.get(store) ?? []
  known.explanations.set(store, explanations)
  const { from, to, spans } = explanation
  const hasSameForm = (other: Explanation) => (other.spans !== undefined) === (spans !== undefined)
  const before = explanations.findLast(other => other.from <= from && hasSameForm(other))
  // Thinning deletes a number once, so the first number identifies the note.
  if (spans && before?.from === from) return
  if (!spans && before && isLike(before, explanation)) {
    if (before.to >= to) return
    if (continues(before, explanation)) {
      extend(before, explanation)
      return
    }
  }
  const near = explanations.findLastIndex(other => other.from <= from)
  const zones = explanation.zones.map(zone => ({ ...zone }))
  explanations.splice(near + 1, 0, { ...explanation, zones })
}

const isLike = (a: Explanation, b: Explanation) =>
  a.kind === b.kind && a.reason === b.reason && a.epoch === b.epoch && a.run === b.run

/** Whether `next` begins where `before` ends, also in each zone, so that both can become one. */
function continues(before: Explanation, next: Explanation): boolean {
  if (before.to + 1 !== next.from) return false
  if ((before.zones.length === 0) !== (next.zones.length === 0)) return false
  return next.zones.every(({ zone, first }) => {
    const known = before.zones.findLast(range => range.zone === zone)
    // The numbers of a zone that `before` does not name can belong to the next epoch.
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
