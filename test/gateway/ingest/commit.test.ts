import { describe, expect, it } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { type CommitConditions, commitHandovers } from '../../../gateway/ingest/commit.ts'
import { createFateDecision } from '../../../gateway/ingest/fate.ts'
import type { Handover } from '../../../gateway/mqtt/broker.ts'
import { type Outbox, openOutbox } from '../../../gateway/store/outbox.ts'
import { readOutbox, temporary } from '../store/fixture.ts'

const fateOf = createFateDecision(defaults.ingest)
const conditions: CommitConditions = {
  clock: 'SYNCED',
  unreleasedBounds: { perClientMax: 100, totalMax: 1000 },
  isConnected: () => true,
}

function message(n: number, packet?: number, topic = 'building/hq/zone/z/sensor/d'): Handover {
  const qos2Key = packet === undefined ? null : { clientId: 'c', packetId: packet }
  return {
    kind: 'message',
    topic,
    payload: Buffer.from(`{"n":${n}}`),
    receivedAt: 1000 + n,
    qos2Key,
  }
}
const release = (packet: number): Handover => ({
  kind: 'release',
  qos2Key: { clientId: 'c', packetId: packet },
})
const forget: Handover = { kind: 'forget', clientId: 'c' }

function openStore() {
  const place = temporary()
  const file = place.file('outbox.db')
  let outbox: Outbox = openOutbox({ file, gateway: 'gw' })
  return {
    commit: (...handovers: Handover[]) => commitHandovers(outbox, fateOf, handovers, conditions),
    get outbox() {
      return outbox
    },
    restart() {
      outbox.close()
      outbox = openOutbox({ file, gateway: 'gw' })
    },
    stored: () => readOutbox(file).events.map(event => event.measurements[0]!.number),
    letters: () => readOutbox(file).notes.filter(({ kind }) => kind === 'deadletter'),
    [Symbol.dispose]() {
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

describe('a commit of handovers', () => {
  it('that fails in a decision stores nothing and remembers no QoS 2 message', () => {
    using store = openStore()
    const throwing = (given: { topic: string }) => {
      if (given.topic === 'throws') throw new TypeError('a fault of ours')
      return fateOf(given as never)
    }
    const handovers = [message(1, 1), message(2, 2, 'throws')]
    expect(() => commitHandovers(store.outbox, throwing, handovers, conditions)).toThrow('of ours')
    expect(store.stored()).toEqual([])
    expect(store.commit(message(1, 1))).toEqual({ stored: 1, deadLettered: 0, repeated: 0 })
    expect(store.stored()).toEqual([1])
  })

  it('stores events in order, stores dead letters, and counts both', () => {
    using store = openStore()
    expect(store.commit(message(1), message(2, undefined, 'elsewhere'), message(3))).toEqual({
      ...{ stored: 2, deadLettered: 1, repeated: 0 },
    })
    expect(store.stored()).toEqual([1, 3])
    expect(store.letters()).toMatchObject([
      { at: 1002, content: { topic: 'elsewhere', reason: 'no route matches topic' } },
    ])
  })

  it('stores a QoS 2 message once: in one commit, in a later one, after a restart', () => {
    using store = openStore()
    expect(store.commit(message(1, 5), message(1, 5))).toMatchObject({ stored: 1, repeated: 1 })
    expect(store.commit(message(1, 5))).toMatchObject({ stored: 0, repeated: 1 })
    store.restart()
    expect(store.commit(message(1, 5))).toMatchObject({ stored: 0, repeated: 1 })
    expect(store.stored()).toEqual([1])
  })

  it('stores a QoS 2 dead letter once', () => {
    using store = openStore()
    const lost = () => message(1, 5, 'elsewhere')
    expect(store.commit(lost(), lost())).toMatchObject({ deadLettered: 1, repeated: 1 })
    store.restart()
    expect(store.commit(lost())).toMatchObject({ deadLettered: 0, repeated: 1 })
    expect(store.letters()).toHaveLength(1)
  })

  it('stores the same message again after its release, in one commit or after a restart', () => {
    using store = openStore()
    const counts = store.commit(message(1, 5), release(5), message(1, 5))
    expect(counts).toMatchObject({ stored: 2, repeated: 0 })
    store.commit(release(5))
    store.restart()
    expect(store.commit(message(1, 5))).toMatchObject({ stored: 1 })
    expect(store.stored()).toEqual([1, 1, 1])
  })

  it('stores the same message again after its session was forgotten', () => {
    using store = openStore()
    store.commit(message(1, 5), message(2, 6), forget)
    store.restart()
    expect(store.commit(message(1, 5), message(2, 6))).toMatchObject({ stored: 2 })
  })

  it('stores another message under the same packet id', () => {
    using store = openStore()
    const counts = store.commit(message(1, 5), message(2, 5), message(2, 5))
    expect(counts).toMatchObject({ stored: 2, repeated: 1 })
  })

  it('stores a QoS 1 message each time it is sent', () => {
    using store = openStore()
    expect(store.commit(message(1), message(1))).toMatchObject({ stored: 2, repeated: 0 })
  })

  it('that fails stores nothing, and the next commit stores the same messages', () => {
    using store = openStore()
    store.commit(message(1, 5))
    const failing = {
      unreleased: store.outbox.unreleased,
      commit: () => {
        store.outbox.unreleased.reload()
        throw new Error('full')
      },
    }
    const handovers = [message(2, 6), release(5)]
    expect(() => commitHandovers(failing, fateOf, handovers, conditions)).toThrow('full')
    expect(store.commit(message(1, 5), message(2, 6))).toMatchObject({ stored: 1, repeated: 1 })
    expect(store.stored()).toEqual([1, 2])
  })
})
