import { type AcceptedReading, splitByLane } from '../store/groups/lanes.ts'
import type { Outbox } from '../store/outbox.ts'
import type { Fate, Message } from './fate.ts'

/** An operator's request for dead letters, which are named by their numbers. */
export type DeadLetterRequest = { action: 'retry' | 'drop'; numbers: number[] }

/** The result for one dead letter: the event it became, dropped, or why it is unchanged. */
export type DeadLetterOutcome =
  | { number: number; outcome: 'retried'; sequence: number }
  | { number: number; outcome: 'dropped' }
  | { number: number; outcome: 'unchanged'; reason: string }

/** How many dead letters one request may name: a request delays the commits of devices. */
export const DEAD_LETTERS_MAX = 100

type Store = Pick<Outbox, 'commit' | 'deadLetters' | 'lastSequence'>

/**
 * Drops dead letters, or decodes them again and stores each one that decodes as an event with the
 * time at which its message was received. Event and `retried` note are stored in one transaction,
 * so no dead letter becomes two events. At most about `maxBytes` of payload go into one
 * transaction. Throws the error of the outbox; then the same request reports what was done.
 */
export function resolveDeadLetters(
  outbox: Store,
  { action, numbers }: DeadLetterRequest,
  fateOf: (message: Message) => Fate,
  { nowMs, maxBytes }: { nowMs: number; maxBytes: number },
): DeadLetterOutcome[] {
  const outcomes: DeadLetterOutcome[] = []
  let retried: { number: number; reading: AcceptedReading }[] = []
  let bytes = 0
  const storeRetried = () => {
    const first = outbox.lastSequence + 1
    // The outbox numbers the readings of a commit lane by lane.
    const byLane = splitByLane(
      retried.map(({ number, reading }) => ({ number, reading, lane: reading.lane })),
    )
    const numbered = byLane
      .flat()
      .map(({ number, reading }, index) => ({ number, reading, sequence: first + index }))
    const notes = numbered.map(({ number: deadletter, sequence }) => ({
      note: { kind: 'retried', content: { deadletter, sequence } } as const,
      at: nowMs,
    }))
    outbox.commit({ readings: numbered.map(({ reading }) => reading), notes })
    for (const { number, sequence } of numbered) {
      outcomes.push({ number, outcome: 'retried', sequence })
    }
    retried = []
    bytes = 0
  }
  const dropped: number[] = []
  for (const number of new Set(numbers)) {
    const found = findOpen(outbox, number)
    const isOpen = 'message' in found || found.isOpen
    if (action === 'drop' && isOpen) dropped.push(number)
    else if ('reason' in found)
      outcomes.push({ number, outcome: 'unchanged', reason: found.reason })
    else {
      const fate = fateOf(found.message)
      if ('reading' in fate) retried.push({ number, reading: fate.reading })
      else outcomes.push({ number, outcome: 'unchanged', reason: reasonText(fate.deadLetter) })
      bytes += found.message.payload.length
      if (bytes >= maxBytes) storeRetried()
    }
  }
  storeRetried()
  const notes = dropped.map(deadletter => ({
    note: { kind: 'dropped', content: { deadletter } } as const,
    at: nowMs,
  }))
  outbox.commit({ notes })
  for (const number of dropped) outcomes.push({ number, outcome: 'dropped' })
  return outcomes.sort((a, b) => a.number - b.number)
}

/**
 * The message of an open dead letter, or why it cannot be retried; `isOpen` when it can be dropped
 * nevertheless.
 */
function findOpen(
  { deadLetters }: Store,
  number: number,
): { message: Message } | { reason: string; isOpen?: true } {
  const letter = deadLetters.find(number)
  if (!letter) return { reason: 'there is no dead letter with this number' }
  if (letter.state === 'dropped') return { reason: 'it was dropped' }
  if (letter.state === 'retried') return { reason: `it is event #${letter.sequence} already` }
  if (letter.state === 'uncertain') {
    return { reason: 'a damaged note may say that it was retried or dropped already' }
  }
  if ('damaged' in letter) return { reason: `it cannot be read: ${letter.damaged}`, isOpen: true }
  if (letter.payload === null) {
    return { reason: `its bytes were deleted at ${letter.droppedAt}`, isOpen: true }
  }
  const { topic, payload, at: receivedAt, clock } = letter
  return { message: { topic, payload, receivedAt, clock } }
}

const reasonText = ({ reason, place }: { reason: string; place: string }) =>
  place === '' ? reason : `${reason} (at ${place})`
