import { pauseReads, resumeReads } from '../aedes-internals.ts'
import type { MqttConnection } from './mqtt-connection.ts'

/**
 * Decides whether a connection is read: not while `isPaused()` is true, and not while the
 * connection is held. Data that is not read stays in the socket, so that TCP slows the device down.
 */
export function createReadGate(isPaused: () => boolean) {
  /** Connections with data that was not read. */
  const unread = new Set<MqttConnection>()
  const mayRead = ({ readHolds }: MqttConnection) => !isPaused() && readHolds === 0
  const readAgain = (connection: MqttConnection) => {
    if (!mayRead(connection) || !unread.delete(connection)) return
    connection.keepAlive()
    resumeReads(connection.socket)
  }
  let isResuming = false
  /**
   * Reads one connection in a turn of the event loop: packets that were read may count as in
   * flight only at the end of the turn, and may then begin the next pause.
   */
  const readNext = () => {
    isResuming = false
    for (const connection of unread) {
      if (!mayRead(connection)) continue
      readAgain(connection)
      isResuming = true
      setImmediate(readNext)
      return
    }
  }
  return {
    /** Makes the reads of a connection obey the gate, until its socket is closed. */
    add(connection: MqttConnection): void {
      pauseReads(
        connection.socket,
        () => !mayRead(connection),
        () => unread.add(connection),
      )
      connection.socket.once('close', () => unread.delete(connection))
    },
    /** Stops reading from one connection, until `releaseReads` is called as often. */
    holdReads(connection: MqttConnection): void {
      connection.readHolds++
    },
    releaseReads(connection: MqttConnection): void {
      connection.readHolds--
      readAgain(connection)
    },
    /** To be called when the pause has ended: reads what was not read, until the next pause. */
    resume(): void {
      if (!isResuming) readNext()
    },
    /** Restarts the keepalive of all connections with unread data: it may be a PINGREQ. */
    keepAlive(): void {
      for (const connection of unread) connection.keepAlive()
    },
  }
}
