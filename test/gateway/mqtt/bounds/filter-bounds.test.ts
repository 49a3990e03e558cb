import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GatewayProcess, startGatewayProcess } from '../../../setup/gateway-process.ts'
import { payloadOf, startTestBroker, topicOf } from '../broker-fixture.ts'
import { openDevice, packet, publishPacket } from '../wire.ts'

type Kind = 'subscribe' | 'unsubscribe'

/** A packet of the given kind with `count` filters `#`. */
function manyFilters(kind: Kind, count: number): Buffer {
  const filter = Buffer.from(kind === 'subscribe' ? [0, 1, 35, 2] : [0, 1, 35])
  return packet(kind, 2, Buffer.from([0, 1]), Buffer.alloc(count * filter.length, filter))
}
const answers = { subscribe: 'suback', unsubscribe: 'unsuback' }
const kinds: Kind[] = ['subscribe', 'unsubscribe']

let gateway: GatewayProcess
beforeAll(async () => {
  gateway = await startGatewayProcess()
})
afterAll(() => gateway[Symbol.asyncDispose]())

describe('the filters of a packet', () => {
  it.each(kinds)(
    'end the connection of a %s packet with very many, in the real gateway',
    async kind => {
      using witness = await openDevice(gateway.port, `witness-${kind}`)
      using wire = await openDevice(gateway.port, `greedy-${kind}`)
      wire.send(manyFilters(kind, 60_000))
      expect(await wire.next()).toBe('closed')
      witness.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 7 }))
      expect(await witness.next()).toBe('puback 7')
    },
  )

  it.each(kinds)('are answered up to filtersPerPacketMax in a %s packet', async kind => {
    await using setup = await startTestBroker({ filtersPerPacketMax: 3 })
    using wire = await openDevice(setup.port, 'modest')
    wire.send(manyFilters(kind, 3))
    expect(await wire.next()).toBe(answers[kind])
    wire.send(manyFilters(kind, 4))
    expect(await wire.next()).toBe('closed')
    expect(setup.boundReports.alarms()).toEqual([
      expect.stringMatching(/^gateway\.mqtt\.filtersPerPacketMax = 3 is reached.*"modest"/),
    ])
  })

  it('beyond the bound are a fault that repeats, also when the packet types alternate', async () => {
    await using setup = await startTestBroker({ filtersPerPacketMax: 3 })
    for (const kind of ['subscribe', 'unsubscribe', 'subscribe'] as const) {
      using wire = await openDevice(setup.port, 'greedy')
      wire.send(manyFilters(kind, 4))
      expect(await wire.next()).toBe('closed')
    }
    expect(setup.faults.alarms()).toEqual([
      expect.stringMatching(/"greedy": .*gateway\.mqtt\.filtersPerPacketMax = 3.*\(3 times\)/),
    ])
  })
})
