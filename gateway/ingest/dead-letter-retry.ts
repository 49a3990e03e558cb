import { type AcceptedReading, splitByLane } from '../store/groups/lanes.ts'
import type { StoredDeadLetter } from '../store/notes/dead-letters.ts'
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
  let retried: { letter: Identity; reading: AcceptedReading }[] = []
  let bytes = 0
  const storeRetried = () => {
    const first = outbox.lastSequence + 1
    // The outbox numbers the readings of a commit lane by lane, so the sequences are predicted in
    // that order.
    const byLane = splitByLane(
      retried.map(({ letter, reading }) => ({ letter, reading, lane: reading.lane })),
    )
    const numbered = byLane
      .flat()
      .map(({ letter, reading }, index) => ({ letter, reading, sequence: first + index }))
    const notes = numbered.map(({ letter, sequence }) => ({
      note: { kind: 'retried', content: { ...identityFields(letter), sequence } } as const,
      at: nowMs,
    }))
    outbox.commit({ readings: numbered.map(({ reading }) => reading), notes })
    for (const { letter, sequence } of numbered) {
      outcomes.push({ number: letter.number, outcome: 'retried', sequence })
    }
    retried = []
    bytes = 0
  }
  const dropped: Identity[] = []
  for (const number of new Set(numbers)) {
    const found = findOpen(outbox, number)
    if (action === 'drop' && 'letter' in found) dropped.push(found.letter)
    else if ('reason' in found)
      outcomes.push({ number, outcome: 'unchanged', reason: found.reason })
    else {
      const fate = fateOf(found.message)
      if ('reading' in fate) retried.push({ letter: found.letter, reading: fate.reading })
      else outcomes.push({ number, outcome: 'unchanged', reason: reasonText(fate.deadLetter) })
      bytes += found.message.payload.length
      if (bytes >= maxBytes) storeRetried()
    }
  }
  storeRetried()
  const notes = dropped.map(letter => ({
    note: { kind: 'dropped', content: identityFields(letter) } as const,
    at: nowMs,
  }))
  outbox.commit({ notes })
  for (const { number } of dropped) outcomes.push({ number, outcome: 'dropped' })
  return outcomes.sort((a, b) => a.number - b.number)
}

type Identity = Pick<StoredDeadLetter, 'number' | 'run'>

/** The fields by which a note names a dead letter. */
const identityFields = ({ number, run }: Identity) => ({
  deadletter: number,
  ...(run !== null && { deadletterRun: run }),
})

/**
 * Returns the message of an open dead letter, or the reason why the dead letter cannot be retried;
 * with `letter` when the dead letter can be dropped nevertheless.
 */
function findOpen(
  { deadLetters }: Store,
  number: number,
):
  | { letter: Identity; message: Message }
  | { letter: Identity; reason: string }
  | { reason: string } {
  const letter = deadLetters.find(number)
  if (!letter) return { reason: 'there is no dead letter with this number' }
  if (letter.state === 'dropped') return { reason: 'it was dropped' }
  if (letter.state === 'retried') return { reason: `it is event #${letter.sequence} already` }
  if (letter.state === 'uncertain') {
    return { reason: 'a damaged note may say that it was retried or dropped already' }
  }
  if ('damaged' in letter) {
    return { letter, reason: `it cannot be read: ${letter.damaged}` }
  }
  if (letter.payload === null) {
    return { letter, reason: `its bytes were deleted at ${letter.droppedAt}` }
  }
  const { topic, payload, at: receivedAt, clock } = letter
  return { letter, message: { topic, payload, receivedAt, clock } }
}

const reasonText = ({ reason, place }: { reason: string; place: string }) =>
  place === '' ? reason : `${reason} (at ${place})`
