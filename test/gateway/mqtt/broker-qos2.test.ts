import { connectAsync } from 'mqtt'
import { describe, expect, it, vi } from 'vitest'
import { openWriterAccept, type WriterAccept } from '../../contracts/writer-accept.ts'
import { payloadOf, startBrokerOn, startTestBroker, topicOf } from './broker-fixture.ts'
import { openDevice, publishPacket, pubrelPacket } from './wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const session = { clean: false }

const publish = (n: number, id: number, dup = false) =>
  publishPacket({ topic: topicOf(), payload: payloadOf(n), qos: 2, id, dup })

/** A gateway that can be restarted with the same outbox. */
async function startGateway() {
  const rig = await openWriterAccept()
  const start = () => startBrokerOn({ rig })
  let broker = await start()
  return {
    rig,
    get port() {
      return broker.port
    },
    async restart() {
      await broker[Symbol.asyncDispose]()
      await rig.restart()
      broker = await start()
    },
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]()
      await rig[Symbol.asyncDispose]()
    },
  }
}

const unreleased = (rig: WriterAccept) => rig.writer.status.qos2Unreleased

describe('a QoS 2 message', () => {
  it('is stored once however often it is sent before its PUBREL, and a second time after', async () => {
    await using gateway = await startGateway()
    using wire = await openDevice(gateway.port, 'c', session)
    for (const dup of [false, true, true]) {
      wire.send(publish(1, 5, dup))
      expect(await wire.next()).toBe('pubrec 5')
    }
    wire.send(pubrelPacket(5))
    expect(await wire.next()).toBe('pubcomp 5')
    expect(gateway.rig.stored()).toEqual([1])
    wire.send(publish(1, 5))
    expect(await wire.next()).toBe('pubrec 5')
    expect(gateway.rig.stored()).toEqual([1, 1])
  })

  it.each([1, 5, 256, 65_535])(
    'with packet id %i is stored once although the gateway restarts before it is sent again',
    async id => {
      await using gateway = await startGateway()
      {
        using wire = await openDevice(gateway.port, 'c', session)
        wire.send(publish(1, id))
        expect(await wire.next()).toBe(`pubrec ${id}`)
      }
      await gateway.restart()
      using wire = await openDevice(gateway.port, 'c', session)
      wire.send(publish(1, id, true))
      expect(await wire.next()).toBe(`pubrec ${id}`)
      expect(gateway.rig.stored()).toEqual([1])
      wire.send(pubrelPacket(id))
      expect(await wire.next()).toBe(`pubcomp ${id}`)
      wire.send(publish(1, id))
      expect(await wire.next()).toBe(`pubrec ${id}`)
      expect(gateway.rig.stored()).toEqual([1, 1])
    },
  )

  it('is released by a PUBREL that arrives after a restart', async () => {
    await using gateway = await startGateway()
    {
      using wire = await openDevice(gateway.port, 'c', session)
      wire.send(publish(1, 5))
      expect(await wire.next()).toBe('pubrec 5')
    }
    await gateway.restart()
    {
      using wire = await openDevice(gateway.port, 'c', session)
      wire.send(pubrelPacket(5))
      expect(await wire.next()).toBe('pubcomp 5')
    }
    await gateway.restart()
    using wire = await openDevice(gateway.port, 'c', session)
    wire.send(publish(1, 5))
    expect(await wire.next()).toBe('pubrec 5')
    expect(gateway.rig.stored()).toEqual([1, 1])
  })

  it('is stored again after its session was cleaned', async () => {
    await using gateway = await startGateway()
    {
      using wire = await openDevice(gateway.port, 'c', session)
      wire.send(publish(1, 5))
      expect(await wire.next()).toBe('pubrec 5')
    }
    expect(unreleased(gateway.rig)).toBe(1)
    using wire = await openDevice(gateway.port, 'c', { clean: true })
    expect(unreleased(gateway.rig)).toBe(0)
    wire.send(publish(1, 5))
    expect(await wire.next()).toBe('pubrec 5')
    expect(gateway.rig.stored()).toEqual([1, 1])
  })

  it('of a clean session is forgotten when its connection ends', async () => {
    await using gateway = await startGateway()
    const wire = await openDevice(gateway.port, 'c', { clean: true })
    wire.send(publish(1, 5))
    expect(await wire.next()).toBe('pubrec 5')
    wire.socket.destroy()
    await vi.waitFor(() => expect(unreleased(gateway.rig)).toBe(0), PATIENCE)
  })

  it('gets no PUBCOMP when its release cannot be stored: the connection is closed', async () => {
    await using setup = await startTestBroker()
    const { accept } = setup.rig
    using wire = await openDevice(setup.port, 'c', session)
    wire.send(publish(1, 5))
    expect(await wire.next()).toBe('pubrec 5')
    await setup[Symbol.asyncDispose]()
    await using failing = await startBrokerOn({
      rig: {
        accept: (handover, sender) =>
          handover.kind === 'release'
            ? Promise.reject(new Error('full'))
            : accept(handover, sender),
      },
    })
    using reconnected = await openDevice(failing.port, 'c', session)
    reconnected.send(pubrelPacket(5))
    expect(await reconnected.next()).toBe('closed')
  })

  it('may have up to qos2InFlightMax unreleased messages on its connection', async () => {
    await using setup = await startTestBroker({ qos2InFlightMax: 3 })
    using wire = await openDevice(setup.port, 'c', session)
    for (const id of [1, 2, 3]) {
      wire.send(publish(id, id))
      expect(await wire.next()).toBe(`pubrec ${id}`)
    }
    wire.send(pubrelPacket(1))
    expect(await wire.next()).toBe('pubcomp 1')
    wire.send(publish(4, 4))
    expect(await wire.next()).toBe('pubrec 4')
    wire.send(publish(5, 5))
    expect(await wire.next()).toBe('closed')
  })

  it('is stored once when a client library is disconnected again and again', async () => {
    await using gateway = await startGateway()
    const client = await connectAsync({
      ...{ port: gateway.port, clientId: 'c', clean: false, reconnectPeriod: 5 },
    })
    const numbers = Array.from({ length: 100 }, (_, n) => n)
    const published = numbers.map(async n => {
      await client.publishAsync(topicOf(), payloadOf(n), { qos: 2 })
      if (n % 7 === 3) client.stream.destroy()
    })
    await Promise.all(published)
    expect(gateway.rig.stored().toSorted((a, b) => a - b)).toEqual(numbers)
    await client.endAsync()
  })
})
