// A TCP proxy in front of a Kafka broker that loses, cuts and delays single requests and answers.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createFrameReader, createFrameSplitter, type Frame } from './framing.ts'

/**
 * What becomes of a frame: it goes on, at once or later (and what follows it, after it); it is lost
 * while the connection stays; it is lost and the connection closed.
 */
export type Verdict = 'pass' | { delayMs: number } | 'drop' | 'cut'
export type Judge = (frame: Frame) => Verdict

export type FaultProxy = AsyncDisposable & {
  readonly port: number
  /** How many connections were accepted so far. */
  readonly accepted: number
  /** How many connections are open now. */
  readonly open: number
  /** Both judge every frame from now on. */
  judge(judges: { requests?: Judge; responses?: Judge }): void
  /** Half-open: nothing passes on the present connections any more, and they stay open. */
  freezeOld(): void
  /** Takes nothing more from the present connections, which stay open: what is sent piles up. */
  stallOld(): void
  /** Closes the present connections, and every new one at once. */
  refuse(): void
  /** New connections work, every frame passes; those that were frozen or stalled are closed. */
  restore(): void
}

type Connection = { client: Socket; broker: Socket; frozen: boolean }
type Judges = { requests: Judge; responses: Judge }

const pass: Judge = () => 'pass'

/** Promise: a proxy on a port of 127.0.0.1 in front of the broker that listens on another. */
export async function startFaultProxy(ports: {
  port: number
  broker: number
}): Promise<FaultProxy> {
  const connections = new Set<Connection>()
  let judges: Judges = { requests: pass, responses: pass }
  let [refusing, accepted] = [false, 0]

  const server = createServer(client => {
    if (refusing) {
      client.resetAndDestroy()
      return
    }
    accepted++
    const broker = connect(ports.broker, '127.0.0.1')
    const connection = { client, broker, frozen: false }
    connections.add(connection)
    client.on('close', () => connection.frozen || connections.delete(connection))
    carry(connection, () => judges)
  })
  server.listen(ports.port, '127.0.0.1')
  await once(server, 'listening')

  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted
    },
    get open() {
      return connections.size
    },
    judge({ requests = pass, responses = pass }) {
      judges = { requests, responses }
    },
    freezeOld() {
      for (const connection of connections) connection.frozen = true
    },
    stallOld() {
      for (const connection of connections) {
        connection.frozen = true
        connection.client.pause()
      }
    },
    refuse() {
      refusing = true
      for (const connection of connections) close(connection)
    },
    restore() {
      refusing = false
      judges = { requests: pass, responses: pass }
      for (const connection of connections) {
        if (!connection.frozen) continue
        close(connection)
        connections.delete(connection)
      }
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) close(connection)
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

function close({ client, broker }: Connection): void {
  client.destroy()
  broker.destroy()
}

// The judges are looked up for each frame, because they change while connections live.
function carry(connection: Connection, judges: () => Judges): void {
  const { client, broker } = connection
  const read = createFrameReader()
  pump(client, broker, connection, bytes => judges().requests(read.request(bytes)))
  pump(broker, client, connection, bytes => judges().responses(read.response(bytes)))
}

function pump(
  from: Socket,
  to: Socket,
  connection: Connection,
  verdictOn: (bytes: Buffer) => Verdict,
): void {
  const split = createFrameSplitter()
  let passed: Promise<unknown> = Promise.resolve()
  const handle = (bytes: Buffer) => {
    if (connection.frozen) return
    const verdict = verdictOn(bytes)
    if (verdict === 'cut') close(connection)
    if (verdict === 'cut' || verdict === 'drop' || connection.frozen) return
    const delayMs = verdict === 'pass' ? 0 : verdict.delayMs
    passed = passed
      .then(() => (delayMs > 0 ? sleep(delayMs) : undefined))
      .then(() => to.writable && !connection.frozen && to.write(bytes))
  }
  from.setNoDelay(true)
  from.on('data', chunk => split(chunk).forEach(handle))
  from.on('error', () => {})
  from.on('close', () => {
    if (!connection.frozen) passed.then(() => to.destroy())
  })
}
