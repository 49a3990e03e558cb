import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFrameReader, createFrameSplitter, type Frame } from './framing.ts'
import { type FaultProxy, startFaultProxy } from './proxy.ts'

const sized = (body: Buffer) => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}
const request = (api: number, correlationId: number) => {
  const head = Buffer.alloc(8)
  head.writeInt16BE(api, 0)
  head.writeInt16BE(7, 2)
  head.writeInt32BE(correlationId, 4)
  return sized(head)
}

describe('the frame splitter', () => {
  it('finds the same frames in chunks of any size', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 })
    const cuts = fc.array(fc.nat({ max: 600 }), { maxLength: 20 })
    fc.assert(
      fc.property(bodies, cuts, (parts, at) => {
        const frames = parts.map(part => sized(Buffer.from(part)))
        const stream = Buffer.concat(frames)
        const ends = [...at.filter(cut => cut < stream.length), stream.length]
        const split = createFrameSplitter()
        const found: Buffer[] = []
        let from = 0
        for (const end of ends.sort((a, b) => a - b)) {
          found.push(...split(stream.subarray(from, end)))
          from = end
        }
        expect(found).toEqual(frames)
      }),
    )
  })
})

describe('the frame reader', () => {
  it('matches a response to its request', () => {
    const read = createFrameReader()
    expect(read.request(request(22, 5))).toMatchObject({ api: 22, version: 7, correlationId: 5 })
    const id = Buffer.alloc(4)
    id.writeInt32BE(5)
    expect(read.response(sized(id))).toMatchObject({ api: 22, version: 7, correlationId: 5 })
    expect(read.response(sized(id))).toMatchObject({ api: -1 })
  })
})

// The broker is a server that answers every request with its correlation id.
describe('the proxy', () => {
  let broker: Server
  let proxy: FaultProxy
  const clients: Socket[] = []
  const received: number[] = []

  beforeEach(async () => {
    received.length = 0
    broker = createServer(socket => {
      const split = createFrameSplitter()
      socket.on('error', () => {})
      socket.on('data', chunk => {
        for (const frame of split(chunk)) {
          received.push(frame.readInt32BE(8))
          socket.write(sized(frame.subarray(8, 12)))
        }
      })
    })
    broker.listen(0, '127.0.0.1')
    await once(broker, 'listening')
    proxy = await startFaultProxy({ port: 0, broker: (broker.address() as AddressInfo).port })
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    await proxy[Symbol.asyncDispose]()
    broker.close()
  })

  async function client() {
    const socket = connect(proxy.port, '127.0.0.1')
    clients.push(socket)
    const responses: number[] = []
    const split = createFrameSplitter()
    const waiting: (() => void)[] = []
    socket.on('error', () => {})
    socket.on('data', chunk => {
      for (const frame of split(chunk)) responses.push(frame.readInt32BE(4))
      for (const wake of waiting.splice(0)) wake()
    })
    await once(socket, 'connect')
    const until = async (count: number) => {
      while (responses.length < count) await new Promise<void>(resolve => waiting.push(resolve))
      return responses
    }
    return {
      socket,
      responses,
      until,
      send: (api: number, id: number) => socket.write(request(api, id)),
    }
  }

  it('passes frames without a judge', async () => {
    const { send, until } = await client()
    for (const id of [1, 2, 3]) send(0, id)
    expect(await until(3)).toEqual([1, 2, 3])
  })

  it('drops one response: the broker has processed the request, and the connection stays open', async () => {
    const seen: Frame[] = []
    proxy.judge({
      responses: frame => {
        seen.push(frame)
        return frame.correlationId === 2 ? 'drop' : 'pass'
      },
    })
    const { send, until } = await client()
    for (const id of [1, 2, 3]) send(0, id)
    expect(await until(2)).toEqual([1, 3])
    expect(received).toEqual([1, 2, 3])
    expect(seen.map(({ api }) => api)).toEqual([0, 0, 0])
  })

  it('drops one request: the broker never receives it', async () => {
    proxy.judge({ requests: ({ api }) => (api === 3 ? 'drop' : 'pass') })
    const { send, until } = await client()
    send(3, 1)
    send(0, 2)
    expect(await until(1)).toEqual([2])
    expect(received).toEqual([2])
  })

  it('cuts: the response is lost and the connection is closed', async () => {
    proxy.judge({ responses: () => 'cut' })
    const { send, socket, responses } = await client()
    const closed = once(socket, 'close')
    send(0, 1)
    await closed
    expect([received, responses]).toEqual([[1], []])
  })

  it('delays a response and all following responses', async () => {
    proxy.judge({
      responses: ({ correlationId }) => (correlationId === 1 ? { delayMs: 50 } : 'pass'),
    })
    const { send, until } = await client()
    send(0, 1)
    send(0, 2)
    expect(await until(2)).toEqual([1, 2])
  })

  it('freezes existing connections and leaves them open; new connections work', async () => {
    const old = await client()
    old.send(0, 1)
    await old.until(1)
    proxy.freezeOld()
    old.send(0, 2)
    const fresh = await client()
    fresh.send(0, 3)
    expect(await fresh.until(1)).toEqual([3])
    expect([received, old.responses, old.socket.closed]).toEqual([[1, 3], [1], false])
    const closed = once(old.socket, 'close')
    proxy.restore()
    await closed
  })

  it('refuses: closes existing and new connections until restored', async () => {
    const old = await client()
    old.send(0, 1)
    await old.until(1)
    const closed = once(old.socket, 'close')
    proxy.refuse()
    await closed
    const refused = connect(proxy.port, '127.0.0.1').on('error', () => {})
    await new Promise(resolve => refused.on('close', resolve))
    expect(proxy.accepted).toBe(1)
    proxy.restore()
    const fresh = await client()
    fresh.send(0, 2)
    expect(await fresh.until(1)).toEqual([2])
  })
})
