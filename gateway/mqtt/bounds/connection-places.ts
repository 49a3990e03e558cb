import { isIPv6, type Socket } from 'node:net'
import type { BoundReports } from './bound-reports.ts'

/** A client of aedes, as far as its CONNECT is concerned. */
export type ConnectingClient = { connecting: boolean; connected: boolean }

/**
 * Counts the open connections, at most `connectionsMax`. At the bound, a new connection gets the
 * place of another: of the oldest connection that has sent no CONNECT, else of the newest
 * connection of the host with the most, if that host has at least two more than the host of the new
 * connection. Otherwise the new connection is refused. So one host cannot shut out the devices of
 * other hosts.
 */
export function createConnectionPlaces(connectionsMax: number, boundReports: BoundReports) {
  /** In the order of opening. */
  const open = new Map<Socket, { client: ConnectingClient; host: string }>()
  const report = (consequence: string) =>
    boundReports.report({
      ...{ key: 'gateway.mqtt.connectionsMax', value: connectionsMax, consequence },
    })
  const close = (socket: Socket, consequence: string) => {
    open.delete(socket)
    socket.destroy()
    report(consequence)
    return true
  }
  const closeUnconnected = () => {
    for (const [socket, { client }] of open) {
      if (client.connecting || client.connected) continue
      return close(socket, 'the oldest connection without a CONNECT is closed')
    }
    return false
  }
  const closeOfLargestHost = (newHost: string) => {
    const byHost = Map.groupBy(open, ([, { host }]) => host)
    const ownCount = byHost.get(newHost)?.length ?? 0
    const most = [...byHost].reduce((a, b) => (b[1].length > a[1].length ? b : a))
    const [host, connections] = most
    if (connections.length < ownCount + 2) return false
    const [newest] = connections.at(-1)!
    return close(newest, `the newest of ${connections.length} connections of ${host} is closed`)
  }
  return {
    /** All open connections. */
    get sockets() {
      return [...open.keys()]
    },
    /** Whether there is a place for a further connection, if need be after closing another. */
    makePlace(socket: Socket): boolean {
      if (open.size < connectionsMax) return true
      if (closeUnconnected() || closeOfLargestHost(hostOf(socket))) return true
      report('a connection is refused')
      return false
    },
    add(socket: Socket, client: ConnectingClient): void {
      open.set(socket, { client, host: hostOf(socket) })
      socket.once('close', () => open.delete(socket))
    },
  }
}

/**
 * The host of a connection's peer: its address, or the /64 prefix of an IPv6 address, because one
 * host can use all addresses below its prefix (RFC 4291, section 2.5.1).
 */
export function hostOf({ remoteAddress = 'an unknown address' }: Pick<Socket, 'remoteAddress'>) {
  const [address = ''] = remoteAddress.replace(/^::ffff:(?=.*\.)/, '').split('%')
  if (!isIPv6(address)) return address
  const [before = [], after] = address.split('::').map(part => part.split(':').filter(Boolean))
  const zeros = after ? Array<string>(8 - before.length - after.length).fill('0') : []
  return `${[...before, ...zeros, ...(after ?? [])].slice(0, 4).join(':')}::/64`
}
