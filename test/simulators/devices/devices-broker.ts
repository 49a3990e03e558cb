import { createServer, type Socket } from 'node:net'
import { Aedes } from 'aedes'

/** A PUBLISH as the broker received it. `connection` counts TCP connections from 0. */
export type Arrival = {
  connection: number
  topic: string
  number: number
  run: string
  dup: boolean
  qos: number
  body: Record<string, unknown>
}

/**
 * How the broker reacts to a PUBLISH. `lose` sends the acknowledgement on a connection that closes
 * at the same moment.
 */
export type Answer = 'acknowledge' | 'withhold' | 'lose' | 'disconnect'

export type TestBroker = AsyncDisposable & {
  readonly port: number
  readonly arrivals: readonly Arrival[]
  /** Message numbers whose acknowledgement was sent on an open connection. */
  readonly acknowledged: ReadonlySet<number>
  /** Message numbers that reached subscribers; for QoS 2, after the check for duplicates. */
  readonly delivered: readonly number[]
  /** Acknowledges every withheld message, and every message from now on. */
  release(): void
  /** Closes every connection; data in transit is lost. */
  disconnectAll(): void
}

export type BrokerOptions = {
  port?: number
  answer?: (arrival: Arrival) => Answer
  /** How long the broker waits before each acknowledgement. */
  acknowledgeAfterMs?: number
  /** How many CONNECTs the broker refuses with "server unavailable" before it accepts one. */
  refuse?: number
  /** Called for each message number that reached subscribers, before its PUBREC is sent. */
  onDelivered?: (number: number, disconnectAll: () => void) => void
  /** Never answers PUBREL. */
  withholdPubcomp?: boolean
}

/** Makes a persistence never complete a PUBREL, so that the broker sends no PUBCOMP. */
function withoutPubcomp(persistence: object): object {
  return Object.assign(persistence, { incomingDelPacket: () => new Promise(() => {}) })
}

/** Starts a real broker on loopback that reacts to each PUBLISH as `answer` says. */
export async function startBroker(options: BrokerOptions = {}): Promise<TestBroker> {
  let { answer = () => 'acknowledge' as Answer, refuse = 0 } = options
  const arrivals: Arrival[] = []
  const acknowledged = new Set<number>()
  const delivered: number[] = []
  const sockets = new Map<object, number>()
  const open = new Set<Socket>()
  let withheld: (() => void)[] = []
  const aedes = await Aedes.createBroker({
    authenticate(_client, _user, _password, done) {
      if (refuse-- > 0) {
        done(Object.assign(new Error('not yet'), { returnCode: 3 }) as never, null)
      } else done(null, true)
    },
    authorizePublish(client, packet, done) {
      const socket = client!.conn as Socket
      const body = JSON.parse(String(packet.payload))
      const arrival = {
        connection: sockets.get(socket)!,
        topic: packet.topic,
        number: body.simulated_number,
        run: body.simulated_run,
        dup: packet.dup,
        qos: packet.qos,
        body,
      }
      arrivals.push(arrival)
      const accept = () => {
        if (!socket.destroyed) acknowledged.add(arrival.number)
        done(null)
      }
      const reaction = answer(arrival)
      if (reaction === 'withhold') withheld.push(accept)
      else if (reaction === 'acknowledge' && options.acknowledgeAfterMs) {
        setTimeout(accept, options.acknowledgeAfterMs)
      } else if (reaction === 'acknowledge') accept()
      else socket.destroy()
      if (reaction === 'lose') done(null)
    },
  })
  aedes.on('publish', (packet, client) => {
    if (!client) return
    const { simulated_number: number } = JSON.parse(String(packet.payload))
    delivered.push(number)
    options.onDelivered?.(number, disconnectAll)
  })
  if (options.withholdPubcomp) {
    Object.assign(aedes, {
      persistence: withoutPubcomp((aedes as never as { persistence: object }).persistence),
    })
  }
  for (const event of ['clientError', 'connectionError'] as const) aedes.on(event, () => {})
  const server = createServer(socket => {
    sockets.set(socket, sockets.size)
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    aedes.handle(socket)
  })
  await new Promise<void>(resolve => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const disconnectAll = () => {
    for (const socket of open) socket.destroy()
  }
  const { port } = server.address() as { port: number }
  return {
    port,
    arrivals,
    acknowledged,
    delivered,
    disconnectAll,
    release() {
      answer = () => 'acknowledge'
      const released = withheld
      withheld = []
      for (const accept of released) accept()
    },
    async [Symbol.asyncDispose]() {
      disconnectAll()
      await new Promise(resolve => server.close(resolve))
      await new Promise<void>(resolve => aedes.close(resolve))
    },
  }
}
