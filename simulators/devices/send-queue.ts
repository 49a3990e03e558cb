import type { Connection, Publication } from './connection.ts'

/** The part of a connection that a send queue uses. */
export type QueueConnection = Pick<Connection, 'hasRoom' | 'send'>

/** Messages that wait for room on one connection, first in, first out. */
export type SendQueue = {
  readonly waiting: number
  isFull(): boolean
  /** Sends the message at once and returns true, or queues the message and returns false. */
  put(publication: Publication): boolean
  /** Sends queued messages while the connection has room. */
  pump(): void
}

/**
 * Creates a queue of at most `waitingMax` messages. `onSend` is called just before a message is
 * sent.
 */
export function createSendQueue(
  connection: QueueConnection,
  waitingMax: number,
  onSend: (publication: Publication) => void,
): SendQueue {
  const waiting: Publication[] = []
  let pumping = false
  const pump = () => {
    // A socket that accepts a message at once calls `pump` from inside `send`.
    if (pumping) return
    pumping = true
    while (waiting.length > 0 && connection.hasRoom()) {
      const next = waiting.shift()!
      onSend(next)
      connection.send(next)
    }
    pumping = false
  }
  return {
    get waiting() {
      return waiting.length
    },
    isFull: () => waiting.length >= waitingMax,
    put(publication) {
      waiting.push(publication)
      pump()
      return waiting.length === 0
    },
    pump,
  }
}
