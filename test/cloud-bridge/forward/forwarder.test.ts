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
/** What happened, in order. */
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
  sender: Sender = sink,
  onUnavailable: (reason: string) => void = () => {},
  readAhead: NonNullable<MemorySource['readAhead']> = () => {},
) {
  const advance: MemorySource['advance'] = pending => {
    log.push(`advanced to ${pending.next}`)
    source.advance(pending)
  }
  return createForwarder({
    framing: singleObjectFraming,
    source: { readBatch: source.readBatch, readAhead, advance },
    sink: sender,
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
const stored = () => textsIn(sink.topics.get('readings')!)

describe('a step', () => {
  it('sends nothing when no events wait', async () => {
    expect(await start().step()).toBe('nothing')
    expect([sink.sent, log]).toEqual([[], []])
  })

  it('sends the oldest events with their zone as key, to that zone’s partition, and advances', async () => {
    source.store(['Süd', 'b'])
    source.store(['Süd', 'c', 'd'])
    source.store(['e'])
    const { step } = start()
    await step()
    expect(log).toEqual(['advanced to 6', 'delivered 5'])
    await step()
    expect(log.slice(2)).toEqual(['advanced to 7', 'delivered 1'])
    expect(await step()).toBe('nothing')
    const headers = { 'content-type': 'application/vnd.apache.avro' }
    const records = ['1 Süd', '2 b', '3 Süd', '4 c', '5 d', '6 e'].map(value => {
      const key = Buffer.from(value.slice(2))
      return { key, headers, partition: partitionOf(key, partitions), value: Buffer.from(value) }
    })
    expect(sink.sent.flatMap(batch => batch.records)).toEqual(records)
    expect(sink.sent.map(({ topic }) => topic)).toEqual(['readings', 'readings'])
    expect(stored()).toEqual(expectedTexts(partitions, records))
  })

  it('never advances before the acknowledgement', async () => {
    source.store(['a'])
    const { promise: acknowledged, resolve: acknowledge } = Promise.withResolvers<null[]>()
    const { step } = start({ send: () => acknowledged })
    const stepping = step()
    await new Promise(resolve => setImmediate(resolve))
    expect(log).toEqual([])
    acknowledge([null])
    await stepping
    expect(log).toEqual(['advanced to 2', 'delivered 1'])
  })

  it('reads ahead while a large batch is in flight, and not during a small one', async () => {
    source.store(['a', 'b', 'c', 'd'])
    source.store(['e'])
    const { promise: acknowledged, resolve: acknowledge } = Promise.withResolvers<null[]>()
    const readAhead = (pending: { next: number }) => log.push(`read ahead from ${pending.next}`)
    const { step } = start({ send: () => acknowledged }, undefined, readAhead)
    const stepping = step()
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(log).toEqual(['read ahead from 5'])
    acknowledge([null, null, null, null])
    await stepping
    await step()
    expect(log.filter(line => line.startsWith('read'))).toHaveLength(1)
  })

  it('returns "large batch" while many events wait', async () => {
    for (let group = 0; group < 3; group++) source.store(['a', 'b', 'c', 'd'])
    source.store(['e'])
    const { step } = start()
    expect([await step(), await step(), await step()]).toEqual(Array(3).fill('large batch'))
    expect(await step()).toBe('small batch')
  })

  it('returns "large batch" while few but large events wait', async () => {
    source.store(['a'])
    source.store(['b'])
    limits.batchMaxBytes = 1
    expect(await start().step()).toBe('large batch')
  })

  it('notes rejected events before it advances', async () => {
    source.store(['a', 'a zone with a name too long for this sink', 'b'])
    await start().step()
    expect(log).toEqual(['rejected 2: too large', 'advanced to 4', 'delivered 2'])
    expect(stored().flat().sort()).toEqual(['1 a', '3 b'])
  })

  it('does not advance when a rejected event cannot be noted', async () => {
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
    '(%s) gets the identical batch until it is delivered once',
    async broken => {
      source.store(['a', 'b'])
      sink.broken = broken
      const repairAtThird = () => {
        if (log.length === 3) sink.broken = null
      }
      const { step } = start(sink, repairAtThird)
      const stepping = step()
      // New events arrive meanwhile; they must not change the batch in flight.
      source.store(['c'])
      await stepping
      expect(log.map(line => line.split(':')[0])).toEqual([
        ...Array(3).fill('unavailable'),
        'advanced to 3',
        'delivered 2',
      ])
      expect(new Set(sink.sent).size).toBe(1)
      await step()
      expect(stored().flat().sort()).toEqual(['1 a', '2 b', '3 c'])
    },
  )

  it('does not delay an abort: the batch stays undelivered', async () => {
    source.store(['a'])
    sink.broken = 'nothing arrives'
    const { step } = start(sink, () => ending.abort())
    expect(await step()).toBe('nothing')
    expect(source.advances).toBe(0)
    expect(await step()).toBe('nothing')
    expect(sink.sent).toHaveLength(1)
  })

  it('advances after an acknowledgement although the signal aborted meanwhile', async () => {
    source.store(['a'])
    const aborting: Sender = {
      async send(batch) {
        ending.abort()
        return sink.send(batch)
      },
    }
    await start(aborting).step()
    expect([source.advances, stored().flat()]).toEqual([1, ['1 a']])
  })

  it('differs from a bug of ours, which rejects the step', async () => {
    source.store(['a'])
    const broken: Sender = { send: () => Promise.reject(new TypeError('a bug')) }
    await expect(start(broken).step()).rejects.toThrow('a bug')
    expect(source.advances).toBe(0)
  })

  it('never costs order or an event, whatever fails at any time', async () => {
    const fault = fc.constantFrom(null, null, 'nothing arrives', 'nothing is acknowledged')
    const groups = fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }), {
      maxLength: 12,
    })
    const property = async (groupsOfZones: string[][], faults: (MemorySink['broken'] | null)[]) => {
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
      for (const zones of groupsOfZones) {
        source.store(zones)
        await step()
      }
      while ((await step()) !== 'nothing');
      const all = groupsOfZones.flat().map((zone, index) => `${index + 1} ${zone}`)
      const headers = { 'content-type': 'application/vnd.apache.avro' }
      const records = all.map(value => {
        const key = Buffer.from(value.split(' ')[1]!)
        return { key, headers, partition: partitionOf(key, partitions), value: Buffer.from(value) }
      })
      expect(stored()).toEqual(expectedTexts(partitions, records))
    }
    await fc.assert(fc.asyncProperty(groups, fc.array(fault, { maxLength: 20 }), property))
  })
})

describe('the pace', () => {
  it('waits for one more commit when sends follow closely, not after a pause', async () => {
    limits.lingerMs = 100
    const { pace, step } = start()
    let commits = 0
    const waitForCommit = async (withinMs: number) => {
      expect(withinMs).toBeLessThanOrEqual(limits.lingerMs)
      commits++
    }
    await pace(waitForCommit)
    expect(commits).toBe(0)
    source.store(['a'])
    await step()
    await pace(waitForCommit)
    expect(commits).toBe(1)
    source.store(['b'])
    await step()
    await sleep(220)
    await pace(waitForCommit)
    expect(commits).toBe(1)
  })

  it('waits after a send, not before the first one, and not after an abort', async () => {
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
