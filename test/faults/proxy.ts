// A TCP proxy before a Kafka broker that drops, delays and cuts off single requests and responses.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createFrameReader, createFrameSplitter, type Frame } from './framing.ts'

/**
 * What happens to a frame. `pass`: the frame is forwarded. `delayMs`: the frame and the following
 * frames are forwarded later. `drop`: the frame is lost. `cut`: the connection is closed, too.
 */
export type Verdict = 'pass' | { delayMs: number } | 'drop' | 'cut'
export type Judge = (frame: Frame) => Verdict

export type FaultProxy = AsyncDisposable & {
  readonly port: number
  /** The number of connections accepted so far. */
  readonly accepted: number
  /** The number of open connections. */
  readonly open: number
  /** Sets the judges of all frames from now on; a missing judge passes every frame. */
  judge(judges: { requests?: Judge; responses?: Judge }): void
  /** Makes the existing connections half-open: they stay open, but no bytes pass any more. */
  freezeOld(): void
  /** Reads nothing more from the existing connections, which stay open: sent bytes pile up. */
  stallOld(): void
  /** Closes the existing connections, and every new connection at once. */
  refuse(): void
  /** New connections work and every frame passes; frozen and stalled connections are closed. */
  restore(): void
}

type Connection = { client: Socket; broker: Socket; isFrozen: boolean }
type Judges = { requests: Judge; responses: Judge }

const pass: Judge = () => 'pass'

/** Starts a proxy on a port of 127.0.0.1 before the broker on another port. */
export async function startFaultProxy(ports: {
  port: number
  broker: number
}): Promise<FaultProxy> {
  const connections = new Set<Connection>()
  let judges: Judges = { requests: pass, responses: pass }
  let [isRefusing, accepted] = [false, 0]

  const server = createServer(client => {
    if (isRefusing) {
      client.resetAndDestroy()
      return
    }
    accepted++
    const broker = connect(ports.broker, '127.0.0.1')
    const connection = { client, broker, isFrozen: false }
    connections.add(connection)
    client.on('close', () => connection.isFrozen || connections.delete(connection))
    forward(connection, () => judges)
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
      for (const connection of connections) connection.isFrozen = true
    },
    stallOld() {
      for (const connection of connections) {
        connection.isFrozen = true
        connection.client.pause()
      }
    },
    refuse() {
      isRefusing = true
      for (const connection of connections) close(connection)
    },
    restore() {
      isRefusing = false
      judges = { requests: pass, responses: pass }
      for (const connection of connections) {
        if (!connection.isFrozen) continue
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

// Gets the judges for each frame, because they change during a connection.
function forward(connection: Connection, judges: () => Judges): void {
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
    if (connection.isFrozen) return
    const verdict = verdictOn(bytes)
    if (verdict === 'cut') close(connection)
    if (verdict === 'cut' || verdict === 'drop' || connection.isFrozen) return
    const delayMs = verdict === 'pass' ? 0 : verdict.delayMs
    passed = passed
      .then(() => (delayMs > 0 ? sleep(delayMs) : undefined))
      .then(() => to.writable && !connection.isFrozen && to.write(bytes))
  }
  from.setNoDelay(true)
  from.on('data', chunk => split(chunk).forEach(handle))
  from.on('error', () => {})
  from.on('close', () => {
    if (!connection.isFrozen) passed.then(() => to.destroy())
  })
}
