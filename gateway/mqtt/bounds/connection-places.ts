import type { Socket } from 'node:net'
import type { BoundReports } from './bound-reports.ts'

/** A client of aedes, as far as its CONNECT is concerned. */
export type ConnectingClient = { connecting: boolean; connected: boolean }

/**
 * Counts the open connections, at most `connectionsMax`. At the bound, the oldest connection that
 * has sent no CONNECT is closed in favour of the new connection; when all have sent CONNECT, the
 * new connection is refused. So connections that only open cannot shut out devices.
 */
export function createConnectionPlaces(connectionsMax: number, boundReports: BoundReports) {
  /** In the order of opening. */
  const open = new Map<Socket, ConnectingClient>()
  const report = (consequence: string) =>
    boundReports.report({
      ...{ key: 'gateway.mqtt.connectionsMax', value: connectionsMax, consequence },
    })
  return {
    /** All open connections. */
    get sockets() {
      return [...open.keys()]
    },
    /** Whether there is a place for a further connection, if need be after closing another. */
    makePlace(): boolean {
      if (open.size < connectionsMax) return true
      for (const [socket, { connecting, connected }] of open) {
        if (connecting || connected) continue
        open.delete(socket)
        socket.destroy()
        report('the oldest connection without a CONNECT is closed')
        return true
      }
      report('a connection is refused')
      return false
    },
    add(socket: Socket, client: ConnectingClient): void {
      open.set(socket, client)
      socket.once('close', () => open.delete(socket))
    },
  }
}
