import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { Handover } from '../mqtt/broker.ts'
import type { Changes, Outbox } from '../store/outbox.ts'
import { type Fate, type Message, messageHash } from './fate.ts'

/**
 * How many messages of one commit had each fate. `repeated` counts QoS 2 messages that an earlier
 * commit stored and that are not stored a second time.
 */
export type CommitCounts = { stored: number; deadLettered: number; repeated: number }

/**
 * Decides the fate of every message, and commits all handovers in one transaction, in order. Throws
 * the outbox's error when the commit fails; then no message of the commit may be acknowledged.
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
      outbox.unreleased.release(handover.qos2Key.clientId, handover.qos2Key.packetId)
      continue
    }
    if (handover.kind === 'forget') {
      outbox.unreleased.forget(handover.clientId)
      continue
    }
    const { topic, payload, receivedAt } = handover
    const message = { topic, payload, receivedAt, clock }
    if (handover.qos2Key) {
      const { clientId, packetId } = handover.qos2Key
      const hash = messageHash(message)
      if (outbox.unreleased.has(clientId, packetId, hash)) {
        repeated++
        continue
      }
      outbox.unreleased.remember(clientId, packetId, hash)
    }
    const fate = fateOf(message)
    if ('reading' in fate) readings.push(fate.reading)
    else deadLetters.push({ at: receivedAt, deadLetter: { ...fate.deadLetter, clock } })
  }
  outbox.commit({ readings, deadLetters })
  return { stored: readings.length, deadLettered: deadLetters.length, repeated }
}
