import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { Handover } from '../mqtt/broker.ts'
import type { Changes, Outbox } from '../store/outbox.ts'
import { type Fate, type Message, messageHash } from './fate.ts'

/** How the messages of one commit fared; `repeated` were stored before and are not stored again. */
export type CommitCounts = { stored: number; buried: number; repeated: number }

/**
 * Gives every handed-over message its fate and commits them all at once, in order. Throws what the
 * outbox throws; then no message of them may be acknowledged.
 */
export function commitHandovers(
  outbox: Pick<Outbox, 'commit' | 'unreleased'>,
  fateOf: (message: Message) => Fate,
  handovers: Handover[],
  clock: ClockState,
): CommitCounts {
  const { readings, deadLetters }: Required<Omit<Changes, 'notes'>> = {
    readings: [],
    deadLetters: [],
  }
  let repeated = 0
  for (const handover of handovers) {
    if (handover.kind === 'release') {
      outbox.unreleased.release(handover.once.client, handover.once.packet)
      continue
    }
    if (handover.kind === 'forget') {
      outbox.unreleased.forget(handover.client)
      continue
    }
    const { topic, payload, receivedAt } = handover
    const message = { topic, payload, receivedAt, clock }
    if (handover.once) {
      const { client, packet } = handover.once
      const hash = messageHash(message)
      if (outbox.unreleased.has(client, packet, hash)) {
        repeated++
        continue
      }
      outbox.unreleased.remember(client, packet, hash)
    }
    const fate = fateOf(message)
    if ('reading' in fate) readings.push(fate.reading)
    else deadLetters.push({ at: receivedAt, deadLetter: { ...fate.deadLetter, clock } })
  }
  outbox.commit({ readings, deadLetters })
  return { stored: readings.length, buried: deadLetters.length, repeated }
}
