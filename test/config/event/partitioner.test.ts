import fc from 'fast-check'
import kafkajs from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { createPartitioner, murmur2, partitionOf } from '../../../config/event/partitioner.ts'

const { Partitioners } = kafkajs
const counts = fc.integer({ min: 1, max: 1000 })
// Any text, and short names many of which begin alike.
const zones = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 }),
)

describe('murmur2', () => {
  // Values of Kafka's own test of the Java function: org.apache.kafka.common.utils.UtilsTest.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of %s equals the hash of the Java client', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
  })
})

describe('the partition of a zone', () => {
  it('is an existing partition', () => {
    fc.assert(
      fc.property(fc.uint8Array(), counts, (key, count) => {
        const partition = partitionOf(key, count)
        expect(Number.isInteger(partition)).toBe(true)
        expect(partition).toBeGreaterThanOrEqual(0)
        expect(partition).toBeLessThan(count)
      }),
    )
  })

  it('equals the partition of kafkajs, and so of the Java client, for the same key', () => {
    const kafkajsPartitioner = Partitioners.DefaultPartitioner()
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), counts, (bytes, count) => {
        const key = Buffer.from(bytes)
        const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
          partitionErrorCode: 0,
          partitionId,
          leader: 1,
          replicas: [1],
          isr: [1],
        }))
        const message = { key, value: null }
        expect(partitionOf(key, count)).toBe(
          kafkajsPartitioner({ topic: 't', partitionMetadata, message }),
        )
      }),
    )
  })

  it('is the same at each call, and the key is the name of the zone', () => {
    fc.assert(
      fc.property(fc.array(zones, { maxLength: 50 }), counts, (names, count) => {
        const partitioner = createPartitioner(count)
        for (const zone of [...names, ...names]) {
          const { key, partition } = partitioner(zone)
          expect(key.toString()).toBe(zone.toWellFormed())
          expect(partition).toBe(partitionOf(Buffer.from(zone), count))
        }
      }),
    )
  })

  it('is the same after more zones than the partitioner caches', () => {
    const partitioner = createPartitioner(7)
    const first = partitioner('zone 0')
    for (let zone = 1; zone <= 100_001; zone++) partitioner(`zone ${zone}`)
    expect(partitioner('zone 0')).toEqual(first)
  })

  it('spreads zones over all partitions', () => {
    const partitioner = createPartitioner(12)
    const used = new Set(
      Array.from({ length: 500 }, (_, zone) => partitioner(`z${zone}`).partition),
    )
    expect(used.size).toBe(12)
  })
})
