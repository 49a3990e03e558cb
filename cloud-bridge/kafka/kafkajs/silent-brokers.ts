import { connect, isIP, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'
import { causesOf } from '../errors.ts'
import { timedOutBroker } from './internals.ts'

const KEEP_ALIVE_MS = 60_000

/**
 * A socket factory that keeps kafkajs away from brokers that accept connections and do not respond.
 * kafkajs itself returns to such a broker with every connect and every metadata request, and waits
 * for every partition until the timeout: one hanging broker of three would block all partitions.
 * After `recordError` has seen a timeout, connections to that broker fail at once for `avoidForMs`,
 * as long as other brokers are known.
 */
export function createSilentBrokerFilter(avoidForMs: number) {
  const known = new Set<string>()
  const avoidUntilMs = new Map<string, number>()
  const isAvoided = (broker: string) =>
    (avoidUntilMs.get(broker) ?? 0) > performance.now() && known.size > avoidUntilMs.size

  const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    const broker = `${host}:${port}`
    known.add(broker)
    if (isAvoided(broker)) {
      const destroyed = new Socket()
      destroyed.destroy(new Error(`${broker} did not respond to an earlier request`))
      return destroyed
    }
    avoidUntilMs.delete(broker)
    const serverName = isIP(host) ? {} : { servername: host }
    const socket = ssl
      ? connectTls({ host, port, ...serverName, ...ssl }, onConnect)
      : connect({ host, port }, onConnect)
    return socket.setKeepAlive(true, KEEP_ALIVE_MS)
  }

  return {
    socketFactory,
    /** Reads from an error and its causes which broker did not respond. */
    recordError(error: unknown): void {
      for (const cause of causesOf(error)) {
        const broker = timedOutBroker(cause)
        if (broker !== null) avoidUntilMs.set(broker, performance.now() + avoidForMs)
      }
    },
  }
}
