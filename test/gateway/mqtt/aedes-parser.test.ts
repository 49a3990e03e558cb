import { describe, expect, it, vi } from 'vitest'
import {
  checkPacketBodies,
  checkPacketHeaders,
  containParserErrors,
} from '../../../gateway/mqtt/aedes-internals.ts'
import type { PacketHeader } from '../../../gateway/mqtt/packet-rules.ts'
import { startAedes, WAIT } from './aedes-fixture.ts'
import {
  connectPacket,
  header,
  openDevice,
  openWire,
  pingPacket,
  publishPacket,
  pubrelPacket,
} from './wire.ts'

describe('the parser of aedes', () => {
  it('shows each packet by its fixed header, before its body is there', async () => {
    const headers: PacketHeader[] = []
    await using setup = await startAedes({
      onClient: client =>
        checkPacketHeaders(client as object, ({ cmd, length, qos, dup }) => {
          headers.push({ cmd, length, qos, dup })
          return null
        }),
    })
    using wire = await openWire(setup.port)
    wire.send(connectPacket('c'))
    expect(await wire.next()).toBe('connack')
    wire.send(header('publish', 2 | 8, 100_000))
    await vi.waitFor(() => expect(headers).toHaveLength(2), WAIT)
    expect(headers[0]).toMatchObject({ cmd: 'connect', qos: 0, dup: false })
    expect(headers[1]).toEqual({ cmd: 'publish', length: 100_000, qos: 1, dup: true })
  })

  it('shows the body of each complete packet, and the beginning of a long message', async () => {
    const bodies: string[] = []
    await using setup = await startAedes({
      onClient: client =>
        checkPacketBodies(client as object, 5, ({ cmd }, body) => {
          if (cmd !== 'connect') bodies.push(`${cmd} ${body.toString('latin1')}`)
          return null
        }),
    })
    using wire = await openDevice(setup.port, 'c')
    const message = publishPacket({ topic: 'abc', payload: 'payload', qos: 0 })
    for (const byte of message) wire.send(Buffer.of(byte))
    wire.send(pingPacket, pubrelPacket(0x4142))
    expect(await wire.next()).toBe('pingresp')
    expect(await wire.next()).toBe('pubcomp 16706')
    expect(bodies).toEqual(['publish \0\x03abc', 'pingreq ', 'pubrel AB'])
  })

  it('ends the connection with the fault of a header or body as its error', async () => {
    for (const check of [
      (client: object) => checkPacketHeaders(client, () => 'refused'),
      (client: object) => checkPacketBodies(client, 10, () => 'refused'),
    ]) {
      await using setup = await startAedes({ onClient: check })
      using wire = await openWire(setup.port)
      wire.send(connectPacket('c'))
      expect(await wire.next()).toBe('closed')
      expect(setup.errors).toEqual(['refused'])
    }
  })

  it('ends the connection when handling a packet throws, and serves others', async () => {
    await using setup = await startAedes({
      options: {
        authorizePublish: (_, { topic }, done) => {
          if (topic === 'throws') throw new Error('a fault of ours')
          done(null)
        },
      },
      onClient: client => containParserErrors(client as object),
    })
    using other = await openDevice(setup.port, 'other')
    using wire = await openDevice(setup.port, 'c')
    wire.send(publishPacket({ topic: 'throws', payload: '1' }))
    expect(await wire.next()).toBe('closed')
    expect(setup.errors).toEqual(['a fault of ours'])
    other.send(publishPacket({ topic: 'passes', payload: '1', id: 5 }))
    expect(await other.next()).toBe('puback 5')
  })

  it('that lacks a member makes the first connection fail', () => {
    for (const client of [{}, { _parser: {} }, { _parser: { _parseLength: () => true } }]) {
      expect(() => checkPacketHeaders(client, () => null)).toThrow('packets cannot be checked')
      expect(() => checkPacketBodies(client, 1, () => null)).toThrow('_parsePayload')
    }
  })
})
