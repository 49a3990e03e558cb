import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { Handover } from '../mqtt/broker.ts'
import type { Changes, Outbox } from '../store/outbox.ts'
import { UNKNOWN_TIME, type UnreleasedBounds } from '../store/qos2-unreleased.ts'
import { type Fate, type Message, messageHash } from './fate.ts'

/**
 * How many messages of one commit had each fate. `repeated` counts QoS 2 messages that an earlier
 * commit stored and that are not stored a second time.
 */
export type CommitCounts = { stored: number; deadLettered: number; repeated: number }

/** `isConnected` tells whether a client is connected now, by its id. */
export type CommitConditions = {
  clock: ClockState
  unreleasedBounds: UnreleasedBounds
  isConnected: (client: string) => boolean
}

/**
 * Decides the fate of every message, and commits all handovers in one transaction, in order. Throws
 * the error of the outbox or of `fateOf` when the commit fails; then nothing of the commit is
 * stored or remembered, and none of its messages may be acknowledged.
 */
export function commitHandovers(
  outbox: Pick<Outbox, 'commit' | 'unreleased'>,
  fateOf: (message: Message) => Fate,
  handovers: Handover[],
  { clock, unreleasedBounds, isConnected }: CommitConditions,
): CommitCounts {
  const { repeated, ...changes } = changesOf(outbox.unreleased, fateOf, handovers, clock)
  outbox.unreleased.enforceBounds(unreleasedBounds, isConnected)
  outbox.commit(changes)
  const { readings, deadLetters } = changes
  return { stored: readings.length, deadLettered: deadLetters.length, repeated }
}

/**
 * The readings and dead letters of the handovers, and how many messages are repeated. QoS 2
 * messages and releases are staged in `unreleased`; after an error nothing is staged.
 */
function changesOf(...given: Parameters<typeof stageHandovers>) {
  try {
    return stageHandovers(...given)
  } catch (error) {
    given[0].reload()
    throw error
  }
}

function stageHandovers(
  unreleased: Outbox['unreleased'],
  fateOf: (message: Message) => Fate,
  handovers: Handover[],
  clock: ClockState,
) {
  const { readings, deadLetters }: Required<Omit<Changes, 'notes'>> = {
    readings: [],
    deadLetters: [],
  }
  let repeated = 0
  for (const handover of handovers) {
    if (handover.kind === 'release') {
      unreleased.release(handover.qos2Key.clientId, handover.qos2Key.packetId)
      continue
    }
    if (handover.kind === 'forget') {
      unreleased.forget(handover.clientId)
      continue
    }
    const { topic, payload, receivedAt } = handover
    const message = { topic, payload, receivedAt, clock }
    if (handover.qos2Key) {
      const { clientId, packetId } = handover.qos2Key
      const hash = messageHash(message)
      if (unreleased.has(clientId, packetId, hash)) {
        repeated++
        continue
      }
      const at = clock === 'UNSYNCED' ? UNKNOWN_TIME : receivedAt
      unreleased.remember(clientId, packetId, hash, at)
    }
    const fate = fateOf(message)
    if ('reading' in fate) readings.push(fate.reading)
    else deadLetters.push({ at: receivedAt, deadLetter: { ...fate.deadLetter, clock } })
  }
  return { readings, deadLetters, repeated }
}
