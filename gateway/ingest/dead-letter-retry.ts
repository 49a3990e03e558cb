import { type AcceptedReading, splitByLane } from '../store/groups/lanes.ts'
import type { Outbox } from '../store/outbox.ts'
import type { Fate, Message } from './fate.ts'

/** What an operator asks for dead letters, by their numbers. */
export type DeadLetterRequest = { what: 'retry' | 'drop'; numbers: number[] }

/** What became of one: the event it is now, that it is forgotten, or why nothing happened. */
export type DeadLetterOutcome =
  | { number: number; outcome: 'retried'; sequence: number }
  | { number: number; outcome: 'dropped' }
  | { number: number; outcome: 'unchanged'; reason: string }

/** How many can be asked for at once: they hold up what devices send. */
export const DEAD_LETTERS_MAX = 100

type Store = Pick<Outbox, 'commit' | 'deadLetters' | 'lastSequence'>

/**
 * Settles dead letters for ever: drops them, or decodes them again and stores each that decodes as
 * an event received when the message was, in one transaction with the note that says so. So none
 * becomes two events. Throws what the outbox throws; then asking again tells what was done.
 */
export function resolveDeadLetters(
  outbox: Store,
  { what, numbers }: DeadLetterRequest,
  fateOf: (message: Message) => Fate,
  { nowMs, maxBytes }: { nowMs: number; maxBytes: number },
): DeadLetterOutcome[] {
  const outcomes: DeadLetterOutcome[] = []
  let retried: { number: number; reading: AcceptedReading }[] = []
  let bytes = 0
  const note = (kind: string, content: object) => ({ kind, at: nowMs, content })
  const flush = () => {
    const first = outbox.lastSequence + 1
    // As the outbox numbers them.
    const inOrder = splitByLane(retried.map(one => ({ ...one, lane: one.reading.lane }))).flat()
    const all = inOrder.map(({ number, reading }, at) => ({
      number,
      reading,
      sequence: first + at,
    }))
    const notes = all.map(({ number: deadletter, sequence }) =>
      note('retried', { deadletter, sequence }),
    )
    outbox.commit({ readings: all.map(({ reading }) => reading), notes })
    for (const { number, sequence } of all) {
      outcomes.push({ number, outcome: 'retried', sequence })
    }
    retried = []
    bytes = 0
  }
  const dropped: number[] = []
  for (const number of new Set(numbers)) {
    const found = openLetter(outbox, number)
    const isOpen = 'message' in found || found.isOpen
    if (what === 'drop' && isOpen) dropped.push(number)
    else if ('reason' in found)
      outcomes.push({ number, outcome: 'unchanged', reason: found.reason })
    else {
      const { payload } = found.message
      const fate = fateOf(found.message)
      if ('reading' in fate) retried.push({ number, reading: fate.reading })
      else outcomes.push({ number, outcome: 'unchanged', reason: reasonOf(fate.deadLetter) })
      bytes += payload.length
      if (bytes >= maxBytes) flush()
    }
  }
  flush()
  const notes = dropped.map(deadletter => note('dropped', { deadletter }))
  outbox.commit({ notes })
  for (const number of dropped) outcomes.push({ number, outcome: 'dropped' })
  return outcomes.sort((a, b) => a.number - b.number)
}

/** The message of a letter that is still open, or why nothing can be done with it. */
function openLetter(
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
    return { reason: `its bytes were let go at ${letter.droppedAt}`, isOpen: true }
  }
  const { topic, payload, at: receivedAt, clock } = letter
  return { message: { topic, payload, receivedAt, clock } }
}

const reasonOf = ({ reason, place }: { reason: string; place: string }) =>
  place === '' ? reason : `${reason} (at ${place})`
