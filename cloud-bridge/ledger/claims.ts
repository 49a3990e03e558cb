/**
 * A note's claim that an epoch reached `lastSequence` at the moment `at` of the gateway's clock.
 * The claim is proven when every sequence up to `lastSequence` is delivered or explained. `note` is
 * the number of the note that makes the claim. Times are ms since 1970.
 */
export type Claim = { lastSequence: number; at: number; note: number; appendTimeMs: number }

/**
 * With more open claims than this, every second one is removed: the proven moment gets less exact.
 */
const OPEN_MAX = 256

/**
 * Orders claims by append time, and claims of one batch by note number. The gateway's clock does
 * not decide, because it can be set at any time.
 */
export const compareByAppendTime = (a: Claim, b: Claim) =>
  a.appendTimeMs - b.appendTimeMs || a.note - b.note

/** The claims that notes make about one epoch, and which of them are proven. */
export function createClaims() {
  let head: Claim | null = null
  let proven: Claim | null = null
  let open: Claim[] = []
  return {
    /** The claim with the highest sequence. */
    get head(): Claim | null {
      return head
    },
    /** The newest proven claim. */
    get proven(): Claim | null {
      return proven
    },
    /** The claims that are not proven yet. */
    get open(): readonly Claim[] {
      return open
    },
    add(claim: Claim): void {
      for (const known of [head, proven, ...open]) {
        if (!known || !isSame(known, claim)) continue
        // A duplicate of the note: the earliest append time counts.
        if (known.appendTimeMs <= claim.appendTimeMs) return
        known.appendTimeMs = claim.appendTimeMs
      }
      if (!head || isFurther(claim, head)) head = claim
      open.push(claim)
      // Keeps every second claim, and the newest one.
      if (open.length > OPEN_MAX) open = open.filter((_, index) => index % 2 === 0)
    },
    /** Marks the claims below `firstOpen`, the first sequence without an account, as proven. */
    prove(firstOpen: number): void {
      for (const claim of open) {
        const isProven = claim.lastSequence < firstOpen
        if (isProven && (!proven || claim.note >= proven.note)) proven = claim
      }
      open = open.filter(({ lastSequence }) => lastSequence >= firstOpen)
    },
  }
}

const isSame = (a: Claim, b: Claim) =>
  a.note === b.note && a.lastSequence === b.lastSequence && a.at === b.at
const isFurther = (claim: Claim, than: Claim) =>
  claim.lastSequence === than.lastSequence
    ? claim.note > than.note
    : claim.lastSequence > than.lastSequence
