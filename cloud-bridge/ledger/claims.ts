/** A moment (ms since 1970) up to which an epoch is claimed to be whole: it had come so far. */
export type Claim = { lastSequence: number; at: number }

/** More open claims than this are thinned out: then the moment of completeness is less exact. */
const OPEN_MAX = 256

/** What notes claim of an epoch, and what of it was found true. */
export function startClaims() {
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
      if (!head || claim.lastSequence >= head.lastSequence) head = claim
      open.push(claim)
      // Every second one, and the newest.
      if (open.length > OPEN_MAX) open = open.filter((_, at) => at % 2 === 0)
    },
    /** Takes the claims below the first sequence that is not accounted for as true. */
    prove(firstOpen: number): void {
      for (const claim of open) {
        const isTrue = claim.lastSequence < firstOpen
        if (isTrue && (!proven || claim.at >= proven.at)) proven = claim
      }
      open = open.filter(({ lastSequence }) => lastSequence >= firstOpen)
    },
  }
}
