import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GatewayProcess, startGatewayProcess } from '../../setup/gateway-process.ts'
import { payloadOf, topicOf } from './broker-fixture.ts'
import {
  connectPacket,
  header,
  openDevice,
  openWire,
  packet,
  packetTypes,
  pingPacket,
  publishPacket,
  pubrelPacket,
  subscribePacket,
  text,
} from './wire.ts'

let gateway: GatewayProcess
beforeAll(async () => {
  gateway = await startGatewayProcess()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const hex = (digits: string) => Buffer.from(digits, 'hex')
let devices = 0

/**
 * Sends `bytes` on the connection of a device while another device is connected. The connection
 * must end, the other one must live, the gateway must store what the other one publishes, and
 * nothing of the bytes may be stored.
 */
async function endsOnlyItsConnection(bytes: Buffer): Promise<void> {
  const number = ++devices
  using witness = await openDevice(gateway.port, `witness-${number}`)
  using wire = await openDevice(gateway.port, `hostile-${number}`)
  const before = await gateway.messageCount()
  wire.send(bytes)
  expect(await wire.next()).toBe('closed')
  witness.send(publishPacket({ topic: topicOf(), payload: payloadOf(number), id: 7 }))
  expect(await witness.next()).toBe('puback 7')
  expect(gateway.isRunning).toBe(true)
  expect(await gateway.messageCount()).toBe(before + 1)
}

const topic = text(topicOf())
/** The flags that the specification asks for, by packet type. */
const flagsOf: Record<string, number> = { pubrel: 2, subscribe: 2, unsubscribe: 2 }
const ofType = (type: string, body: Buffer) => packet(type, flagsOf[type] ?? 0, body)

describe('the real gateway ends only the connection of a packet', () => {
  it.each([
    ['PUBREL without packet id', hex('6200')],
    ['PUBREL with half a packet id', hex('620100')],
    ['QoS 2 PUBLISH without packet id', packet('publish', 4, topic)],
    ['QoS 2 PUBLISH with half a packet id', packet('publish', 4, topic, hex('01'))],
    ['QoS 1 PUBLISH without packet id', packet('publish', 2, topic)],
    ['QoS 1 PUBLISH whose packet id would be in the next packet', hex('3403000161c000')],
    ['SUBSCRIBE without packet id', hex('8200')],
    ['UNSUBSCRIBE without packet id', hex('a200')],
    ['SUBSCRIBE whose QoS would be in the next packet', hex('82050001000161c000')],
  ])('that is %s', async (_, bytes) => {
    await endsOnlyItsConnection(bytes)
  })

  it.each<[string, Buffer]>([
    ['PUBLISH QoS 1', publishPacket({ topic: topicOf(), payload: '1', qos: 1, id: 0 })],
    ['PUBLISH QoS 2', publishPacket({ topic: topicOf(), payload: '1', qos: 2, id: 0 })],
    ['SUBSCRIBE', packet('subscribe', 2, hex('0000'), text('a'), hex('00'))],
    ['UNSUBSCRIBE', packet('unsubscribe', 2, hex('0000'), text('a'))],
    ...['puback', 'pubrec', 'pubrel', 'pubcomp'].map((type): [string, Buffer] => [
      type.toUpperCase(),
      ofType(type, hex('0000')),
    ]),
  ])('that has packet id 0: %s', async (_, bytes) => {
    await endsOnlyItsConnection(bytes)
  })

  it.each(packetTypes)('of type %s and 0 to 3 bytes of zeros, ones and 0xff', async type => {
    const mayPass = ['pingreq 0', 'disconnect 0', 'pubrel 2', 'puback 2', 'pubrec 2', 'pubcomp 2']
    for (const length of [0, 1, 2, 3]) {
      for (const value of [0, 1, 0xff]) {
        if (value > 0 && mayPass.includes(`${type} ${length}`)) continue
        if (length === 0 && type === 'pingreq') continue
        await endsOnlyItsConnection(ofType(type, Buffer.alloc(length, value)))
      }
    }
  })

  it.each(packetTypes)('of type %s that declares the largest length', async type => {
    await endsOnlyItsConnection(header(type, flagsOf[type] ?? 0, 268_435_455))
  })

  it.each(packetTypes)('of type %s with every wrong flag', async type => {
    for (let flags = 0; flags < 16; flags++) {
      const isRight = flags === (flagsOf[type] ?? 0) || (type === 'publish' && (flags & 6) !== 6)
      if (!isRight) await endsOnlyItsConnection(packet(type, flags, hex('0001')))
    }
  })

  it.each([
    ['CONNECT', connectPacket('cut', { will: { topic: 'a', payload: 'b', qos: 1 } })],
    ['PUBLISH QoS 2', publishPacket({ topic: topicOf(), payload: '1', qos: 2 }).subarray(0, -1)],
    ['SUBSCRIBE', subscribePacket('a/b')],
    ['UNSUBSCRIBE', packet('unsubscribe', 2, hex('0001'), text('a/b'))],
    ['PUBREL', pubrelPacket(5)],
  ])('that is cut at any byte and declares the bytes that are left: %s', async (_, bytes) => {
    const body = bytes.subarray(2)
    for (let length = 0; length < body.length; length++) {
      const cut = Buffer.concat([Buffer.of(bytes[0]!, length), body.subarray(0, length)])
      if (bytes[0] !== 0x10) await endsOnlyItsConnection(cut)
      else {
        using wire = await openWire(gateway.port)
        wire.send(cut)
        expect(await wire.next()).toBe('closed')
      }
    }
    expect(gateway.isRunning).toBe(true)
  })

  it('and stores what came before the packet, in one TCP segment', async () => {
    const good = publishPacket({ topic: topicOf('before'), payload: payloadOf(1), id: 3 })
    using wire = await openDevice(gateway.port, 'before')
    wire.send(good, hex('6200'))
    for (let reply = ''; reply !== 'closed'; ) reply = await wire.next()
    using witness = await openDevice(gateway.port, 'after')
    witness.send(publishPacket({ topic: topicOf('after'), payload: payloadOf(2), id: 4 }))
    expect(await witness.next()).toBe('puback 4')
    const zones = gateway.stored().map(({ zone }) => zone)
    expect(zones.slice(-2)).toEqual(['before', 'after'])
  })
})

describe('a topic with a control character', () => {
  it('becomes a dead letter, and is neither forwarded nor retained', async () => {
    using subscriber = await openDevice(gateway.port, 'control-live')
    subscriber.send(subscribePacket('control/#', 1))
    expect(await subscriber.next()).toBe('suback')
    using wire = await openDevice(gateway.port, 'control')
    for (const [id, character] of ['\u0001', '\u000e', '\u007f', '\u0085'].entries()) {
      const flags = 1 | 2
      const name = text(`control/a${character}b`)
      wire.send(packet('publish', flags, name, Buffer.from([0, id + 1]), Buffer.from('1')))
      expect(await wire.next()).toBe(`puback ${id + 1}`)
    }
    wire.send(packet('publish', 1 | 2, text('control/end'), Buffer.from([0, 9]), Buffer.from('1')))
    expect(await wire.next()).toBe('puback 9')
    expect((await subscriber.nextReply())!.body.toString()).toContain('control/end')
    using later = await openDevice(gateway.port, 'control-later')
    later.send(subscribePacket('control/#', 1))
    expect(await later.next()).toBe('suback')
    // Retained messages are sent in the order in which they were retained.
    expect((await later.nextReply())!.body.toString()).toContain('control/end')
    expect(gateway.deadLetters().filter(({ topic }) => topic.startsWith('control/a'))).toHaveLength(
      4,
    )
  })
})

describe('the real gateway lives through a payload', () => {
  const long = 250_000
  it.each([
    ['of zeros and an exponent', `1${'0'.repeat(long / 2)}1e-${'1'.repeat(9)}`],
    ['of digits', '9'.repeat(long)],
    ['of backslashes', `"${'\\\\'.repeat(long / 2)}"`],
    ['of braces', '{'.repeat(long)],
    ['of spaces', `{"a"${' '.repeat(long)}:1,"a":1}`],
    ['of a small number', `0.${'0'.repeat(long)}1`],
  ])('%s', async (_, payload) => {
    using wire = await openDevice(gateway.port, 'payload')
    for (const qos of [0, 1]) {
      wire.send(publishPacket({ topic: topicOf(), payload, qos, id: 9 }))
    }
    expect(await wire.next()).toBe('puback 9')
    wire.send(pingPacket)
    expect(await wire.next()).toBe('pingresp')
  })
})
