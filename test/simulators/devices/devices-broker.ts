import { createServer, type Socket } from 'node:net'
import { Aedes } from 'aedes'

/** A PUBLISH as the broker met it. `connection` counts TCP connections from 0. */
export interface Arrival {
  readonly connection: number
  readonly topic: string
  readonly number: number
  readonly run: string
  readonly dup: boolean
  readonly qos: number
  readonly body: Record<string, unknown>
}

/** What becomes of it. `lose` acknowledges into a connection that is cut at the same moment. */
export type Answer = 'acknowledge' | 'withhold' | 'lose' | 'cut'

export interface TestBroker extends AsyncDisposable {
  readonly port: number
  readonly arrivals: readonly Arrival[]
  /** Numbers whose acknowledgement went out on a connection that was up. */
  readonly acknowledged: ReadonlySet<number>
  /** Numbers that reached subscribers: for QoS 2, after its check for duplicates. */
  readonly delivered: readonly number[]
  /** Acknowledges what was withheld, and everything from now on. */
  release(): void
  /** Cuts every connection; what is on its way is lost. */
  cut(): void
}

export interface BrokerOptions {
  readonly port?: number
  readonly answer?: (arrival: Arrival) => Answer
  /** Refuse this many CONNECTs with "server unavailable" first. */
  readonly refuse?: number
  /** Called for each number that reached subscribers, before its PUBREC; `cut` loses that. */
  readonly onDelivered?: (number: number, cut: () => void) => void
  /** Never answers PUBREL. */
  readonly withholdPubcomp?: boolean
}

/** A persistence that does not come to an end with PUBREL. */
function mute(persistence: object): object {
  return Object.assign(persistence, { incomingDelPacket: () => new Promise(() => {}) })
}

/** A real broker on loopback that answers each PUBLISH as told. */
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
      const verdict = answer(arrival)
      if (verdict === 'withhold') withheld.push(accept)
      else if (verdict === 'acknowledge') accept()
      else socket.destroy()
      if (verdict === 'lose') done(null)
    },
  })
  aedes.on('publish', (packet, client) => {
    if (!client) return
    const { simulated_number: number } = JSON.parse(String(packet.payload))
    delivered.push(number)
    options.onDelivered?.(number, cut)
  })
  if (options.withholdPubcomp) {
    Object.assign(aedes, {
      persistence: mute((aedes as never as { persistence: object }).persistence),
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
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  const { port } = server.address() as { port: number }
  return {
    port,
    arrivals,
    acknowledged,
    delivered,
    cut,
    release() {
      answer = () => 'acknowledge'
      const held = withheld
      withheld = []
      for (const accept of held) accept()
    },
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise(resolve => server.close(resolve))
      await new Promise<void>(resolve => aedes.close(resolve))
    },
  }
}
