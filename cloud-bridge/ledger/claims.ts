/** A moment (ms since 1970) up to which an epoch is claimed to be whole: it had come so far. */
export type Claim = { lastSequence: number; at: number }

/** More open claims than this are thinned out: then the moment of completeness is less exact. */
const OPEN_MAX = 256

/** What notes claim of an epoch, and what of it was found true. */
export function startClaims() {
  const furthest: Claim[] = []
  const proven: Claim[] = []
  let open: Claim[] = []
  return {
    /** The claim that reaches furthest. */
    get head(): Claim | null {
      return furthest[0] ?? null
    },
    /** The newest claim that was found true. */
    get proven(): Claim | null {
      return proven[0] ?? null
    },
    /** Those that were not yet found true. */
    get open(): readonly Claim[] {
      return open
    },
    add(claim: Claim): void {
      if (claim.lastSequence >= (furthest[0]?.lastSequence ?? 0)) furthest[0] = claim
      open.push(claim)
      // Every second one, and the newest.
      if (open.length > OPEN_MAX) open = open.filter((_, at) => at % 2 === 0)
    },
    /** Takes the claims below the first sequence that is not accounted for as true. */
    prove(firstOpen: number): void {
      for (const claim of open) {
        const isTrue = claim.lastSequence < firstOpen
        if (isTrue && claim.at >= (proven[0]?.at ?? claim.at)) proven[0] = claim
      }
      open = open.filter(({ lastSequence }) => lastSequence >= firstOpen)
    },
  }
}
