import { connect, isIP, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'
import { causesOf } from '../errors.ts'

const KEEP_ALIVE_MS = 60_000

/**
 * Keeps kafkajs away from brokers that accept connections and do not answer. By itself it goes to
 * one again and again, with each connection and each look at who leads what, and waits for every
 * partition until its timeout: one broker of three that hangs would hold up all. `note` reads from
 * an error who did not answer; for `forMs` its sockets then fail at once, if others are known.
 */
export function createSilentBrokerFilter(forMs: number) {
  const known = new Set<string>()
  const silentUntil = new Map<string, number>()
  const isAvoided = (broker: string) =>
    (silentUntil.get(broker) ?? 0) > performance.now() && known.size > silentUntil.size

  const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    const broker = `${host}:${port}`
    known.add(broker)
    if (isAvoided(broker)) {
      const none = new Socket()
      none.destroy(new Error(`${broker} did not answer lately`))
      return none
    }
    silentUntil.delete(broker)
    const name = isIP(host) ? {} : { servername: host }
    const socket = ssl
      ? connectTls({ host, port, ...name, ...ssl }, onConnect)
      : connect({ host, port }, onConnect)
    return socket.setKeepAlive(true, KEEP_ALIVE_MS)
  }

  return {
    socketFactory,
    note(error: unknown): void {
      for (const cause of causesOf(error)) {
        const { name, broker } = cause as Error & { broker?: string }
        const isSilent = name === 'KafkaJSRequestTimeoutError' && broker !== undefined
        if (isSilent) silentUntil.set(broker, performance.now() + forMs)
      }
    },
  }
}
