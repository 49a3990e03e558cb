import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'aedes'
import { describe, expect, it, vi } from 'vitest'
import { filterForwarding, forwardOneByOne } from '../../../gateway/mqtt/aedes-forwarding.ts'
import {
  createMemorySessions,
  observeDonePackets,
  parserOf,
  pauseReads,
  refreshKeepalive,
  resumeReads,
  type Sessions,
} from '../../../gateway/mqtt/aedes-internals.ts'
import { startAedes, WAIT } from './aedes-fixture.ts'
import {
  openDevice,
  openWire,
  pingPacket,
  publishPacket,
  pubrelPacket,
  subscribePacket,
} from './wire.ts'

const MESSAGE = {
  ...({ cmd: 'publish', qos: 0, dup: false, retain: false } as const),
  payload: Buffer.from('1'),
}

describe('_keepaliveTimer of aedes', () => {
  it('closes a silent connection, and not one whose keepalive is refreshed', async () => {
    const clients = new Map<string, Client>()
    await using setup = await startAedes({
      onBroker: aedes => aedes.on('client', client => void clients.set(client.id, client)),
    })
    using refreshed = await openDevice(setup.port, 'refreshed', { keepaliveS: 1 })
    using silent = await openDevice(setup.port, 'silent', { keepaliveS: 1 })
    // aedes closes a silent connection after one and a half times its keepalive.
    for (let tick = 0; tick < 20; tick++) {
      await sleep(100)
      refreshKeepalive(clients.get('refreshed')!)
    }
    expect(await silent.next()).toBe('closed')
    refreshed.send(pingPacket)
    expect(await refreshed.next()).toBe('pingresp')
  })

  it('is null before CONNECT, and without it a refresh fails', async () => {
    let unconnected: Client | undefined
    await using setup = await startAedes({
      onClient: client => {
        unconnected = client
      },
    })
    using _wire = await openWire(setup.port)
    await vi.waitFor(() => expect(unconnected).toBeDefined(), WAIT)
    refreshKeepalive(unconnected!)
    expect(unconnected).toHaveProperty('_keepaliveTimer', null)
    expect(() => refreshKeepalive({} as Client)).toThrow('no keepalive timer')
  })
})

describe('the reads of aedes', () => {
  it('stop while reads are paused, and go on when the socket is readable again', async () => {
    let isPaused = false
    let skipped = 0
    let deviceSocket: Socket | undefined
    await using setup = await startAedes({
      onClient: (_, socket) => {
        deviceSocket = socket
        pauseReads(
          socket,
          () => isPaused,
          () => skipped++,
        )
      },
    })
    using wire = await openDevice(setup.port, 'c')
    isPaused = true
    wire.send(pingPacket)
    await vi.waitFor(() => expect(skipped).toBeGreaterThan(0), WAIT)
    await sleep(50)
    expect(wire.waiting).toBe(0)
    isPaused = false
    resumeReads(deviceSocket!)
    expect(await wire.next()).toBe('pingresp')
  })
})

describe('publish of aedes', () => {
  it('can be kept from forwarding a message, which is acknowledged nevertheless', async () => {
    const seen: (string | null)[][] = []
    await using setup = await startAedes({
      onBroker: aedes =>
        filterForwarding(aedes, ({ topic }, client) => {
          if (!topic.startsWith('$')) seen.push([topic, client?.id ?? null])
          return topic !== 'dropped'
        }),
    })
    using subscriber = await openDevice(setup.port, 's')
    subscriber.send(subscribePacket('#'))
    expect(await subscriber.next()).toBe('suback')
    using wire = await openDevice(setup.port, 'c')
    wire.send(publishPacket({ topic: 'dropped', payload: '1', id: 1 }))
    expect(await wire.next()).toBe('puback 1')
    wire.send(publishPacket({ topic: 'forwarded', payload: '2', id: 2 }))
    expect(await wire.next()).toBe('puback 2')
    expect(await subscriber.next()).toBe('publish')
    expect(subscriber.waiting).toBe(0)
    expect(seen).toEqual([
      ['dropped', 'c'],
      ['forwarded', 'c'],
    ])
  })

  it('forwards the messages of public callers, which pass no client', async () => {
    await using setup = await startAedes({
      onBroker: aedes => filterForwarding(aedes, ({ topic }) => topic.startsWith('$')),
    })
    using subscriber = await openDevice(setup.port, 's')
    subscriber.send(subscribePacket('#'))
    expect(await subscriber.next()).toBe('suback')
    const packet = { cmd: 'publish', qos: 0, dup: false, retain: false } as const
    await new Promise(resolve =>
      setup.aedes.publish({ ...packet, topic: 't', payload: '' }, resolve),
    )
    expect(await subscriber.next()).toBe('publish')
  })
})

describe('the persistence of aedes', () => {
  /** Sessions in memory that record which of their members aedes calls. */
  function recordedSessions(overrides: Partial<Sessions> = {}) {
    const sessions = createMemorySessions()
    const calls: string[] = []
    const { incomingGetPacket, incomingDelPacket, cleanIncoming } = sessions
    Object.assign(sessions, {
      incomingGetPacket: (...args: Parameters<Sessions['incomingGetPacket']>) => {
        calls.push(`incomingGetPacket ${args[0].id} ${args[1].cmd}`)
        return (overrides.incomingGetPacket ?? incomingGetPacket).apply(sessions, args)
      },
      incomingDelPacket: (...args: Parameters<Sessions['incomingDelPacket']>) => {
        calls.push(`incomingDelPacket ${args[0].id} ${args[1].messageId}`)
        return (overrides.incomingDelPacket ?? incomingDelPacket).apply(sessions, args)
      },
      cleanIncoming: (...args: Parameters<Sessions['cleanIncoming']>) => {
        calls.push(`cleanIncoming ${args[0].id}`)
        return (overrides.cleanIncoming ?? cleanIncoming).apply(sessions, args)
      },
    })
    return { sessions, calls }
  }

  it('is asked for the packet and told to delete it at PUBREL', async () => {
    const { sessions, calls } = recordedSessions()
    await using setup = await startAedes({ options: { persistence: sessions as object } })
    using wire = await openDevice(setup.port, 'c', { clean: false })
    wire.send(publishPacket({ topic: 't', payload: '1', qos: 2, id: 7 }))
    expect(await wire.next()).toBe('pubrec 7')
    calls.length = 0
    wire.send(pubrelPacket(7))
    expect(await wire.next()).toBe('pubcomp 7')
    expect(calls).toEqual(['incomingGetPacket c pubrel', 'incomingDelPacket c 7'])
  })

  it('deletes a packet that it does not know only when incomingGetPacket gives one', async () => {
    for (const isGiven of [false, true]) {
      const { sessions, calls } = recordedSessions(
        isGiven ? { incomingGetPacket: async (_, packet) => packet } : {},
      )
      await using setup = await startAedes({ options: { persistence: sessions as object } })
      using wire = await openDevice(setup.port, 'c', { clean: false })
      wire.send(pubrelPacket(9))
      expect(await wire.next()).toBe('pubcomp 9')
      expect(calls.includes('incomingDelPacket c 9')).toBe(isGiven)
    }
  })

  it('that fails to delete does not keep aedes from sending PUBCOMP', async () => {
    const { sessions } = recordedSessions({
      incomingGetPacket: async (_, packet) => packet,
      incomingDelPacket: () => Promise.reject(new Error('not durable')),
    })
    await using setup = await startAedes({ options: { persistence: sessions as object } })
    using wire = await openDevice(setup.port, 'c', { clean: false })
    wire.send(pubrelPacket(9))
    expect(await wire.next()).toBe('pubcomp 9')
  })

  it('cleans the packets of a client at a clean session, and of connections without CONNECT', async () => {
    const { sessions, calls } = recordedSessions()
    await using setup = await startAedes({ options: { persistence: sessions as object } })
    using _device = await openDevice(setup.port, 'c')
    expect(calls).toContain('cleanIncoming c')
    using unconnected = await openWire(setup.port)
    unconnected.socket.end()
    await vi.waitFor(() => expect(calls).toContain('cleanIncoming null'), WAIT)
  })
})

describe('mq of aedes', () => {
  it('passes thousands of waiting messages on when the subscribers that they wait for are done', async () => {
    let forwarded = 0
    let queue = { waiting: 0 }
    await using setup = await startAedes({
      onBroker: aedes => {
        queue = forwardOneByOne(aedes, () => forwarded++)
      },
    })
    const release: (() => void)[] = []
    const { aedes } = setup
    aedes.subscribe(
      'slow',
      (_, done) => void release.push(done),
      () => {},
    )
    const publish = (topic: string) =>
      new Promise<void>((resolve, reject) =>
        aedes.publish({ ...MESSAGE, topic }, error => (error ? reject(error) : resolve())),
      )
    // aedes passes 100 messages to subscribers at once; the others wait.
    const slow = Array.from({ length: 100 }, () => publish('slow'))
    await vi.waitFor(() => expect(release).toHaveLength(100), WAIT)
    const others = Array.from({ length: 50_000 }, (_, number) => publish(`topic ${number}`))
    expect(queue.waiting).toBe(50_000)
    for (const done of release) done()
    await Promise.all([...slow, ...others])
    expect(queue.waiting).toBe(0)
    expect(forwarded).toBeGreaterThanOrEqual(50_100)
  })
})

describe('_nextBatch of aedes', () => {
  it('is called for each packet, when its answer is written', async () => {
    let [read, done] = [0, 0]
    await using setup = await startAedes({
      onClient: client => {
        parserOf(client as object).prependListener('packet', () => read++)
        observeDonePackets(client as object, () => done++)
      },
    })
    using wire = await openDevice(setup.port, 'c')
    const topic = { topic: 't', payload: '1' }
    const qos2 = [publishPacket({ ...topic, qos: 2, id: 2 }), pubrelPacket(2)]
    wire.send(pingPacket, subscribePacket('t'), publishPacket(topic), ...qos2)
    // One call more: aedes resumes a client after its CONNECT.
    await vi.waitFor(() => expect([read, done]).toEqual([6, 7]), WAIT)
  })
})
