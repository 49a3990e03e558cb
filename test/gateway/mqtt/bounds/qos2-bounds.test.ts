import { describe, expect, it, vi } from 'vitest'
import { openWriterAccept } from '../../../contracts/writer-accept.ts'
import { payloadOf, startBrokerOn, topicOf } from '../broker-fixture.ts'
import { openDevice, publishPacket, pubrelPacket } from '../wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const session = { clean: false }
const WEEK_MS = 604_800_000

const publish = (n: number, id: number) =>
  publishPacket({ topic: topicOf(), payload: payloadOf(n), qos: 2, id })

/** A broker with the real writer, whose unreleased QoS 2 messages have small bounds. */
async function startBounded(bounds: { perClientMax: number; totalMax: number }) {
  const unreleasedBounds = { ...bounds, keepMs: WEEK_MS }
  const connectedClients = () => setup.broker.clientIds
  const rig = await openWriterAccept({ unreleasedBounds, connectedClients })
  const setup = await startBrokerOn({ rig, qos2InFlightMax: bounds.perClientMax })
  return {
    ...{ rig, port: setup.port, refused: setup.refused, broker: setup.broker },
    unreleased: () => rig.writer.status.qos2Unreleased,
    async [Symbol.asyncDispose]() {
      await setup[Symbol.asyncDispose]()
      await rig[Symbol.asyncDispose]()
    },
  }
}

/** Publishes messages without PUBREL, and closes the connection. */
async function abandon(port: number, client: string, ids: number[]) {
  using wire = await openDevice(port, client, session)
  for (const id of ids) {
    wire.send(publish(id, id))
    expect(await wire.next()).toBe(`pubrec ${id}`)
  }
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('QoS 2 messages that are never released', () => {
  it('of many abandoned clients never refuse a message of another device', async () => {
    await using gateway = await startBounded({ perClientMax: 10, totalMax: 40 })
    for (const n of range(1, 12)) await abandon(gateway.port, `abandoned-${n}`, range(1, 10))
    using wire = await openDevice(gateway.port, 'honest', session)
    wire.send(publish(99, 1))
    expect(await wire.next()).toBe('pubrec 1')
    expect(gateway.refused).toEqual([])
    expect(gateway.rig.stored()).toHaveLength(121)
    expect(gateway.unreleased()).toBe(40)
    expect(gateway.rig.writer.status.qos2Forgotten).toEqual({ perClientMax: 0, totalMax: 81 })
  })

  it('of a connected client stay known while those of absent clients are forgotten', async () => {
    await using gateway = await startBounded({ perClientMax: 10, totalMax: 20 })
    using honest = await openDevice(gateway.port, 'honest', session)
    honest.send(publish(1, 1))
    expect(await honest.next()).toBe('pubrec 1')
    for (const n of range(1, 5)) await abandon(gateway.port, `abandoned-${n}`, range(1, 10))
    const isAbsent = (id: string) => id.startsWith('abandoned')
    await vi.waitFor(() => expect(gateway.broker.clientIds.some(isAbsent)).toBe(false), PATIENCE)
    honest.send(publish(1, 1))
    expect(await honest.next()).toBe('pubrec 1')
    expect(gateway.rig.stored().filter(n => n === 1)).toHaveLength(6)
    honest.send(pubrelPacket(1))
    expect(await honest.next()).toBe('pubcomp 1')
  })

  it('of one client that reconnects again and again are its own oldest that are forgotten', async () => {
    await using gateway = await startBounded({ perClientMax: 10, totalMax: 1000 })
    await abandon(gateway.port, 'other', [1])
    for (const from of [1, 11, 21]) await abandon(gateway.port, 'c', range(from, from + 9))
    expect(gateway.unreleased()).toBe(11)
    using wire = await openDevice(gateway.port, 'c', session)
    wire.send(publish(30, 30))
    expect(await wire.next()).toBe('pubrec 30')
    expect(gateway.rig.stored()).toHaveLength(31)
  })

  it('are forgotten on request: of named clients, or of all except some', async () => {
    await using gateway = await startBounded({ perClientMax: 10, totalMax: 1000 })
    for (const client of ['a', 'b', 'c']) await abandon(gateway.port, client, [1, 2])
    const { writer } = gateway.rig
    expect(await writer.forgetUnreleased({ clients: ['a', 'nobody'] })).toBe(2)
    expect(await writer.forgetUnreleased({ exceptClients: ['b'] })).toBe(2)
    await gateway.rig.restart()
    expect(gateway.rig.writer.status.qos2Unreleased).toBe(2)
  })
})
