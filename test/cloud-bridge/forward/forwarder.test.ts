import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { createForwarder } from '../../../cloud-bridge/forward/forwarder.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { Sender } from '../../../cloud-bridge/ports/event-sink.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { expectedTexts, textsIn } from '../../contracts/event-sink.ts'
import { createMemorySink, type MemorySink } from '../../contracts/memory-sink.ts'
import { createMemorySource, type MemorySource } from '../../contracts/memory-source.ts'
import { fixedSize } from '../fixed-size.ts'

const partitions = 3

let limits: { batchMaxEvents: number; batchMaxBytes: number; lingerMs: number }
let source: MemorySource
let sink: MemorySink
let ending: AbortController
/** What happened, in its order. */
let log: string[]
beforeEach(() => {
  limits = { batchMaxEvents: 4, batchMaxBytes: 10_000, lingerMs: 0 }
  source = createMemorySource('readings', partitions)
  sink = createMemorySink(20)
  sink.createTopic('readings', partitions)
  ending = new AbortController()
  log = []
})

function start(
  via: Sender = sink,
  onUnavailable: (reason: string) => void = () => {},
  readAhead: NonNullable<MemorySource['readAhead']> = () => {},
) {
  const settle: MemorySource['advance'] = taken => {
    log.push(`settled ${taken.next}`)
    source.advance(taken)
  }
  return createForwarder({
    framing: singleObjectFraming,
    source: { readBatch: source.readBatch, readAhead, advance: settle },
    sink: via,
    size: fixedSize(limits),
    lingerMs: limits.lingerMs,
    circuit: createCircuitBreaker({ firstMs: 1, maxMs: 2, stableMs: 0 }),
    signal: ending.signal,
    onRejected: ({ sequence }, reason) => log.push(`rejected ${sequence}: ${reason}`),
    onDelivered: (_, { records }) => log.push(`delivered ${records.length}`),
    onUnavailable: reason => {
      log.push(`unavailable: ${reason}`)
      onUnavailable(reason)
    },
  })
}
const arrived = () => textsIn(sink.topics.get('readings')!)

describe('a step', () => {
  it('does nothing when there is nothing', async () => {
    expect(await start().step()).toBe('nothing')
    expect([sink.sent, log]).toEqual([[], []])
  })

  it('sends the oldest events under their zone, to its partition, and settles them', async () => {
    source.store(['Süd', 'b'])
    source.store(['Süd', 'c', 'd'])
    source.store(['e'])
    const { step } = start()
    await step()
    expect(log).toEqual(['settled 6', 'delivered 5'])
    await step()
    expect(log.slice(2)).toEqual(['settled 7', 'delivered 1'])
    expect(await step()).toBe('nothing')
    const headers = { 'content-type': 'application/vnd.apache.avro' }
    const records = ['1 Süd', '2 b', '3 Süd', '4 c', '5 d', '6 e'].map(value => {
      const key = Buffer.from(value.slice(2))
      return { key, headers, partition: partitionOf(key, partitions), value: Buffer.from(value) }
    })
    expect(sink.sent.flatMap(batch => batch.records)).toEqual(records)
    expect(sink.sent.map(({ topic }) => topic)).toEqual(['readings', 'readings'])
    expect(arrived()).toEqual(expectedTexts(partitions, records))
  })

  it('never settles before the acknowledgement', async () => {
    source.store(['a'])
    const { promise: acknowledged, resolve: acknowledge } = Promise.withResolvers<null[]>()
    const { step } = start({ send: () => acknowledged })
    const stepping = step()
    await new Promise(resolve => setImmediate(resolve))
    expect(log).toEqual([])
    acknowledge([null])
    await stepping
    expect(log).toEqual(['settled 2', 'delivered 1'])
  })

  it('reads ahead while a large batch is under way, and not behind a small one', async () => {
    source.store(['a', 'b', 'c', 'd'])
    source.store(['e'])
    const { promise: acknowledged, resolve: acknowledge } = Promise.withResolvers<null[]>()
    const readAhead = (taken: { next: number }) => log.push(`read ahead from ${taken.next}`)
    const { step } = start({ send: () => acknowledged }, undefined, readAhead)
    const stepping = step()
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(log).toEqual(['read ahead from 5'])
    acknowledge([null, null, null, null])
    await stepping
    await step()
    expect(log.filter(line => line.startsWith('read'))).toHaveLength(1)
  })

  it('says that there is more to do while much is waiting', async () => {
    for (let stored = 0; stored < 3; stored++) source.store(['a', 'b', 'c', 'd'])
    source.store(['e'])
    const { step } = start()
    expect([await step(), await step(), await step()]).toEqual(Array(3).fill('large batch'))
    expect(await step()).toBe('small batch')
  })

  it('says that there is more to do while few but large events are waiting', async () => {
    source.store(['a'])
    source.store(['b'])
    limits.batchMaxBytes = 1
    expect(await start().step()).toBe('large batch')
  })

  it('notes what Kafka rejects before it settles', async () => {
    source.store(['a', 'a zone with a name too long for this sink', 'b'])
    await start().step()
    expect(log).toEqual(['rejected 2: too large', 'settled 4', 'delivered 2'])
    expect(arrived().flat().sort()).toEqual(['1 a', '3 b'])
  })

  it('settles nothing when what was rejected cannot be noted', async () => {
    source.store(['a zone with a name too long for this sink'])
    const forwarder = createForwarder({
      framing: singleObjectFraming,
      source,
      sink,
      size: fixedSize(limits),
      lingerMs: 0,
      circuit: createCircuitBreaker({ firstMs: 1, maxMs: 2, stableMs: 0 }),
      signal: ending.signal,
      onRejected: () => {
        throw new Error('the disk is full')
      },
      onDelivered: () => {},
      onUnavailable: () => {},
    })
    await expect(forwarder.step()).rejects.toThrow('the disk is full')
    expect(source.advances).toBe(0)
  })
})

describe('a sink that is unavailable', () => {
  it.each(['nothing arrives', 'nothing is acknowledged'] as const)(
    '(%s) gets the identical batch again, until it is delivered once',
    async broken => {
      source.store(['a', 'b'])
      sink.broken = broken
      const repairAtThird = () => {
        if (log.length === 3) sink.broken = null
      }
      const { step } = start(sink, repairAtThird)
      const stepping = step()
      // Meanwhile more arrives, which must not change what is being sent.
      source.store(['c'])
      await stepping
      expect(log.map(line => line.split(':')[0])).toEqual([
        ...Array(3).fill('unavailable'),
        'settled 3',
        'delivered 2',
      ])
      expect(new Set(sink.sent).size).toBe(1)
      await step()
      expect(arrived().flat().sort()).toEqual(['1 a', '2 b', '3 c'])
    },
  )

  it('does not hold up an end: the batch stays unsettled', async () => {
    source.store(['a'])
    sink.broken = 'nothing arrives'
    const { step } = start(sink, () => ending.abort())
    expect(await step()).toBe('nothing')
    expect(source.advances).toBe(0)
    expect(await step()).toBe('nothing')
    expect(sink.sent).toHaveLength(1)
  })

  it('settles what was acknowledged although the end was asked for meanwhile', async () => {
    source.store(['a'])
    const late: Sender = {
      async send(batch) {
        ending.abort()
        return sink.send(batch)
      },
    }
    await start(late).step()
    expect([source.advances, arrived().flat()]).toEqual([1, ['1 a']])
  })

  it('is told apart from a fault of ours, which ends everything', async () => {
    source.store(['a'])
    const broken: Sender = { send: () => Promise.reject(new TypeError('a bug')) }
    await expect(start(broken).step()).rejects.toThrow('a bug')
    expect(source.advances).toBe(0)
  })

  it('never costs order or an event, whatever fails when', async () => {
    const fault = fc.constantFrom(null, null, 'nothing arrives', 'nothing is acknowledged')
    const groups = fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }), {
      maxLength: 12,
    })
    const property = async (stored: string[][], faults: (MemorySink['broken'] | null)[]) => {
      source = createMemorySource('readings', partitions)
      sink = createMemorySink()
      sink.createTopic('readings', partitions)
      let sends = 0
      const faulty: Sender = {
        send(batch) {
          sink.broken = faults[sends++] ?? null
          return sink.send(batch)
        },
      }
      const { step } = start(faulty)
      for (const zones of stored) {
        source.store(zones)
        await step()
      }
      while ((await step()) !== 'nothing');
      const all = stored.flat().map((zone, index) => `${index + 1} ${zone}`)
      const headers = { 'content-type': 'application/vnd.apache.avro' }
      const records = all.map(value => {
        const key = Buffer.from(value.split(' ')[1]!)
        return { key, headers, partition: partitionOf(key, partitions), value: Buffer.from(value) }
      })
      expect(arrived()).toEqual(expectedTexts(partitions, records))
    }
    await fc.assert(fc.asyncProperty(groups, fc.array(fault, { maxLength: 20 }), property))
  })
})

describe('the pace', () => {
  it('waits for one more arrival where sends come close, not after a pause', async () => {
    limits.lingerMs = 100
    const { pace, step } = start()
    let arrivals = 0
    const arrival = async (withinMs: number) => {
      expect(withinMs).toBeLessThanOrEqual(limits.lingerMs)
      arrivals++
    }
    await pace(arrival)
    expect(arrivals).toBe(0)
    source.store(['a'])
    await step()
    await pace(arrival)
    expect(arrivals).toBe(1)
    source.store(['b'])
    await step()
    await sleep(220)
    await pace(arrival)
    expect(arrivals).toBe(1)
  })

  it('waits after a send, not before the first, and not when asked to end', async () => {
    source.store(['a'])
    limits.lingerMs = 3_600_000
    const { pace, step } = start()
    await pace()
    await step()
    let isOver = false
    const waiting = pace().then(() => {
      isOver = true
    })
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
    expect(isOver).toBe(false)
    ending.abort()
    await waiting
  })
})
