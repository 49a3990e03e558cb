import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { openWriterAccept } from '../../contracts/writer-accept.ts'
import { readOutbox } from '../store/fixture.ts'
import { payloadOf, startBrokerOn, topicOf } from './broker-fixture.ts'
import { openDevice, publishPacket } from './wire.ts'

/**
 * Long enough for a wrong, early acknowledgement to be received. No correct result depends on this
 * time.
 */
const A_WHILE_MS = 100

const publish = (n: number, zone = 'z') =>
  publishPacket({ topic: topicOf(zone), payload: payloadOf(n), id: n })

describe('broker and writer together', () => {
  it('acknowledge a message only when it is on disk', async () => {
    await using rig = await openWriterAccept()
    await using setup = await startBrokerOn({ rig })
    using wire = await openDevice(setup.port, 'c')
    for (const n of [1, 2, 3]) {
      wire.send(publish(n))
      expect(await wire.next()).toBe(`puback ${n}`)
      expect(rig.stored()).toHaveLength(n)
    }
    const resume = rig.hold()
    wire.send(publish(4))
    await sleep(A_WHILE_MS)
    expect(wire.waiting).toBe(0)
    resume()
    expect(await wire.next()).toBe('puback 4')
    expect(rig.stored()).toEqual([1, 2, 3, 4])
  })

  it('close the connection of a message that cannot be stored, and store no later message of it', async () => {
    await using rig = await openWriterAccept({ outbox: { commitAtEvents: 1, groupMaxEvents: 1 } })
    await using setup = await startBrokerOn({ rig })
    using wire = await openDevice(setup.port, 'c')
    using other = await openDevice(setup.port, 'd')
    const accept = rig.refuse()
    wire.send(...[1, 2, 3, 4, 5].map(n => publish(n, n === 3 ? 'refused' : 'z')))
    const received: string[] = []
    while (received.at(-1) !== 'closed') received.push(await wire.next())
    expect(['puback 1', 'puback 2', 'closed']).toEqual(expect.arrayContaining(received))
    other.send(publish(6))
    expect(await other.next()).toBe('puback 6')
    accept()
    using reconnected = await openDevice(setup.port, 'c')
    for (const n of [3, 4, 5]) {
      reconnected.send(publish(n, n === 3 ? 'refused' : 'z'))
      expect(await reconnected.next()).toBe(`puback ${n}`)
    }
    expect(rig.stored()).toEqual([1, 2, 6, 3, 4, 5])
  })

  it('store all messages of 20 concurrent clients, each in order, and stop with all of them stored', async () => {
    const rig = await openWriterAccept()
    const setup = await startBrokerOn({ rig })
    const numbers = Array.from({ length: 50 }, (_, n) => n)
    const publishAll = async (client: number) => {
      const mqtt = await connectAsync({ port: setup.port, clientId: `c${client}` })
      const zone = `z${client % 3}`
      const payload = (n: number) => JSON.stringify({ n: client * 1000 + n })
      const qos = client % 2 ? 1 : 2
      await Promise.all(numbers.map(n => mqtt.publishAsync(topicOf(zone), payload(n), { qos })))
      await mqtt.endAsync()
    }
    await Promise.all(Array.from({ length: 20 }, (_, client) => publishAll(client)))
    expect(setup.acknowledged).toBe(1000)
    await setup[Symbol.asyncDispose]()
    const { events } = readOutbox(rig.outboxFile)
    await rig[Symbol.asyncDispose]()
    const stored = events.map(event => event.measurements[0]!.number!)
    expect(new Set(stored).size).toBe(1000)
    for (let client = 0; client < 20; client++) {
      const ofClient = stored.filter(number => Math.floor(number / 1000) === client)
      expect(ofClient).toEqual(numbers.map(n => client * 1000 + n))
    }
    for (const zone of ['z0', 'z1', 'z2']) {
      const ofClient = events.filter(event => event.zone === zone)
      expect(ofClient.map(({ zoneSequence }) => zoneSequence)).toEqual(
        ofClient.map((_, n) => n + 1),
      )
    }
  })
})
