import type { Connection, Publication } from './connection.ts'

/** What of a connection a lane needs. */
export type QueueConnection = Pick<Connection, 'hasRoom' | 'send'>

/** Messages that wait in front of one connection, first in, first out. */
export interface SendQueue {
  readonly waiting: number
  isFull(): boolean
  /** Sends at once, or keeps the message until there is room; says which: true is sent. */
  put(publication: Publication): boolean
  /** Sends what waits, as far as there is room. */
  pump(): void
}

/** A lane of at most `waitingMax` messages. `sends` is told of each just before it goes out. */
export function createSendQueue(
  carrier: QueueConnection,
  waitingMax: number,
  sends: (publication: Publication) => void,
): SendQueue {
  const waiting: Publication[] = []
  let pumping = false
  const pump = () => {
    // a socket that takes a message at once says so from inside send
    if (pumping) return
    pumping = true
    while (waiting.length > 0 && carrier.hasRoom()) {
      const next = waiting.shift()!
      sends(next)
      carrier.send(next)
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
