/**
 * How far an epoch had come at a moment of the gateway's clock, up to which it is claimed to be
 * whole; `note` is the number of the note that says so, `heardAt` when Kafka got it. Times are ms
 * since 1970.
 */
export type Claim = { lastSequence: number; at: number; note: number; heardAt: number }

/** More open claims than this are thinned out: then the moment of completeness is less exact. */
const OPEN_MAX = 256

/**
 * Which of two claims was heard later; those of one batch by their notes. The gateway's clock has
 * no say in it, because it may be set at any time.
 */
export const compareByAppendTime = (a: Claim, b: Claim) => a.heardAt - b.heardAt || a.note - b.note

/** What notes claim of an epoch, and what of it was found true. */
export function createClaims() {
  let head: Claim | null = null
  let proven: Claim | null = null
  let open: Claim[] = []
  return {
    /** The claim that reaches furthest. */
    get head(): Claim | null {
      return head
    },
    /** The newest claim that was found true. */
    get proven(): Claim | null {
      return proven
    },
    /** Those that were not yet found true. */
    get open(): readonly Claim[] {
      return open
    },
    add(claim: Claim): void {
      for (const known of [head, proven, ...open]) {
        if (!known || !isSame(known, claim)) continue
        // It came twice: what counts is when it was heard first.
        if (known.heardAt <= claim.heardAt) return
        known.heardAt = claim.heardAt
      }
      if (!head || isFurther(claim, head)) head = claim
      open.push(claim)
      // Every second one, and the newest.
      if (open.length > OPEN_MAX) open = open.filter((_, at) => at % 2 === 0)
    },
    /** Takes the claims below the first sequence that is not accounted for as true. */
    prove(firstOpen: number): void {
      for (const claim of open) {
        const isTrue = claim.lastSequence < firstOpen
        if (isTrue && (!proven || claim.note >= proven.note)) proven = claim
      }
      open = open.filter(({ lastSequence }) => lastSequence >= firstOpen)
    },
  }
}

const isSame = (one: Claim, other: Claim) =>
  one.note === other.note && one.lastSequence === other.lastSequence && one.at === other.at
const isFurther = (claim: Claim, than: Claim) =>
  claim.lastSequence === than.lastSequence
    ? claim.note > than.note
    : claim.lastSequence > than.lastSequence
