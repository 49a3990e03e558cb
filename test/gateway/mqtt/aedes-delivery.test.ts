import type { Client } from 'aedes'
import { describe, expect, it } from 'vitest'
import {
  acceptTopicLevels,
  type DeliveringClient,
  keepRepeatedFilters,
  matchEmptyLevels,
  matchedLevelsMax,
  overrideDelivery,
} from '../../../gateway/mqtt/aedes-delivery.ts'
import { createMemorySessions } from '../../../gateway/mqtt/aedes-internals.ts'
import { startAedes } from './aedes-fixture.ts'
import { openDevice, packet, publishPacket, subscribePacket } from './wire.ts'

describe('the delivery of aedes', () => {
  it('asks for each matching subscription, and uses the answer', async () => {
    const asked: string[] = []
    const onClient = (client: Client) =>
      overrideDelivery(client as unknown as DeliveringClient, message => {
        asked.push(`${message.topic} ${message.qos}`)
        return message.topic === 'dropped' ? null : { ...message, qos: 0, brokerId: null }
      })
    await using setup = await startAedes({ onClient })
    using subscriber = await openDevice(setup.port, 's')
    subscriber.send(subscribePacket('#', 1), subscribePacket('+', 1))
    expect([await subscriber.next(), await subscriber.next()]).toEqual(['suback', 'suback'])
    using wire = await openDevice(setup.port, 'c')
    wire.send(publishPacket({ topic: 'dropped', payload: '1', id: 1 }))
    wire.send(publishPacket({ topic: 'passes', payload: '2', id: 2 }))
    expect(await subscriber.next()).toBe('publish')
    expect(await subscriber.next()).toBe('publish')
    expect(asked).toEqual(['dropped 1', 'dropped 1', 'passes 1', 'passes 1'])
  })

  it('that lacks a member makes the first connection fail', () => {
    expect(() => overrideDelivery({} as DeliveringClient, () => null)).toThrow('no deliver0')
  })
})

describe('SUBSCRIBE of aedes', () => {
  it('has one return code for two equal filters, unless they are kept', async () => {
    const filter = Buffer.from('00016100', 'hex')
    for (const isKept of [false, true]) {
      await using setup = await startAedes({
        onClient: client => isKept && keepRepeatedFilters(client as object),
      })
      using wire = await openDevice(setup.port, 's')
      wire.send(packet('subscribe', 2, Buffer.of(0, 7), filter, filter))
      expect((await wire.nextReply())!.body).toHaveLength(isKept ? 4 : 3)
    }
  })
})

describe('topic levels of aedes', () => {
  it('are limited unless the limit is lifted', async () => {
    const topic = '/'.repeat(matchedLevelsMax)
    for (const isLifted of [false, true]) {
      await using setup = await startAedes({
        // The caller must keep such topics from the search.
        options: { authorizePublish: (_, __, done) => done(isLifted ? new Error('kept') : null) },
        onBroker: aedes => isLifted && acceptTopicLevels(aedes),
      })
      using wire = await openDevice(setup.port, 'c')
      wire.send(publishPacket({ topic, payload: '1' }))
      expect(await wire.next()).toBe('closed')
      expect(setup.errors).toEqual([isLifted ? 'kept' : 'topic has too many levels'])
    }
  })
})

describe('the sessions of aedes', () => {
  it('queue messages of a topic with an empty level for a + at that level', async () => {
    matchEmptyLevels()
    await using setup = await startAedes({
      options: { persistence: createMemorySessions() as object },
    })
    const subscriber = await openDevice(setup.port, 's', { clean: false })
    subscriber.send(subscribePacket('+/a', 1))
    expect(await subscriber.next()).toBe('suback')
    subscriber.socket.destroy()
    using wire = await openDevice(setup.port, 'c')
    wire.send(publishPacket({ topic: '/a', payload: '1', id: 3 }))
    expect(await wire.next()).toBe('puback 3')
    using later = await openDevice(setup.port, 's', { clean: false })
    expect(await later.next()).toBe('publish')
  })
})
