import { type AcceptedReading, splitByLane } from '../store/groups/lanes.ts'
import type { Outbox } from '../store/outbox.ts'
import type { Fate, Message } from './fate.ts'

/**
 * An operator's request to retry or drop dead letters; `numbers` are the numbers of the dead
 * letters.
 */
export type DeadLetterRequest = { action: 'retry' | 'drop'; numbers: number[] }

/**
 * The outcome for one dead letter: stored as the event `sequence`, dropped, or unchanged with the
 * reason.
 */
export type DeadLetterOutcome =
  | { number: number; outcome: 'retried'; sequence: number }
  | { number: number; outcome: 'dropped' }
  | { number: number; outcome: 'unchanged'; reason: string }

/**
 * How many dead letters one request may name. The number is limited because a request delays the
 * commits of device messages.
 */
export const DEAD_LETTERS_MAX = 100

type Store = Pick<Outbox, 'commit' | 'deadLetters' | 'lastSequence'>

/**
 * Drops dead letters, or decodes their messages again. Each message that can be decoded is stored
 * as an event with the time at which the message was received. The event and its `retried` note are
 * stored in one transaction, so no dead letter becomes two events. One transaction contains about
 * `maxBytes` of payload at most. Throws the outbox's error when a transaction fails. The same
 * request may then be repeated; it reports the dead letters that were resolved before the failure
 * as unchanged.
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
    // The outbox numbers the readings of a commit lane by lane, so the sequences are predicted in
    // that order.
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
 * Returns the message of an open dead letter, or the reason why the dead letter cannot be retried;
 * with `isOpen` when the dead letter can be dropped nevertheless.
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
