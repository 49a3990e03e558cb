import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { OutgoingRecord } from '../../cloud-bridge/ports/event-sink.ts'
import type { EventStream, Offsets, ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { record } from './event-sink.ts'

/** A stream under test, and what a test needs to do to the topics behind the stream. */
export type StreamRig = {
  stream: EventStream
  /** A stream to an address without a broker. */
  unavailable: EventStream
  /** Creates an empty topic. */
  topic(partitions: number): Promise<string>
  /** Writes records in one batch; uncompressed by default. */
  write(topic: string, records: OutgoingRecord[], compression?: Compression): Promise<void>
  /** Deletes all records of a partition before an offset. */
  deleteBefore(topic: string, partition: number, offset: number): Promise<void>
}

export const compressions = ['none', 'gzip', 'zstd', 'snappy', 'lz4'] as const
export type Compression = (typeof compressions)[number]

/** The contract of the port EventStream. `readable` are the compressions the adapter can read. */
export function describeEventStream(
  name: string,
  readable: readonly Compression[],
  openRig: () => Promise<StreamRig>,
): void {
  describe(`the event stream ${name}`, () => {
    const read = async ({ stream }: StreamRig, topic: string, from: Offsets, to: Offsets) => {
      const found: ReadRecord[] = []
      await stream.readBetween(topic, from, to, read => found.push(read))
      return found
    }
    const readAll = async (rig: StreamRig, topic: string) => {
      const { begin, end } = (await rig.stream.topicOffsets([topic])).get(topic)!
      return read(rig, topic, begin, end)
    }
    const numbered = (partition: number, from: number, count: number) =>
      Array.from({ length: count }, (_, index) => record(partition, `${from + index}`))
    const texts = (found: ReadRecord[]) => found.map(({ value }) => value.toString())
    const nothing: Offsets = new Map()

    it('reads what was written, with partition, offset and append time', async () => {
      const rig = await openRig()
      const topic = await rig.topic(2)
      const beforeMs = Date.now()
      const value = Buffer.from([0, 255, 13, 10])
      await rig.write(topic, [record(1, 'a'), { key: Buffer.from('Süd\0'), partition: 1, value }])
      const [first, second] = await readAll(rig, topic)
      expect(first).toMatchObject({ partition: 1, offset: 0, value: Buffer.from('a') })
      expect(second).toMatchObject({ partition: 1, offset: 1, key: Buffer.from('Süd\0'), value })
      expect(second!.appendTimeMs).toBeGreaterThanOrEqual(beforeMs - 1000)
      expect(second!.appendTimeMs).toBeLessThan(Date.now() + 1000)
    })

    it('reads each partition in order, over many batches', async () => {
      const rig = await openRig()
      const topic = await rig.topic(3)
      for (let batch = 0; batch < 20; batch++) {
        await rig.write(
          topic,
          [0, 1, 2].flatMap(partition => numbered(partition, batch * 30, 30)),
        )
      }
      const found = await readAll(rig, topic)
      const expected = Array.from({ length: 600 }, (_, index) => `${index}`)
      for (const partition of [0, 1, 2]) {
        const own = found.filter(read => read.partition === partition)
        expect(texts(own)).toEqual(expected)
        expect(own.map(({ offset }) => String(offset))).toEqual(expected)
      }
    })

    it('reads from one offset to before another, also in the middle of a batch', async () => {
      const rig = await openRig()
      const topic = await rig.topic(2)
      await rig.write(topic, [...numbered(0, 0, 10), ...numbered(1, 0, 10)])
      await rig.write(topic, numbered(0, 10, 10))
      const found = await read(rig, topic, new Map([[0, 4]]), new Map([[0, 13]]))
      expect(texts(found)).toEqual(['4', '5', '6', '7', '8', '9', '10', '11', '12'])
      const fromNone = await read(rig, topic, nothing, new Map([[1, 2]]))
      expect(texts(fromNone)).toEqual(['0', '1'])
    })

    it('reads nothing from empty ranges', async () => {
      const rig = await openRig()
      const topic = await rig.topic(2)
      expect(await readAll(rig, topic)).toEqual([])
      await rig.write(topic, numbered(0, 0, 3))
      expect(await read(rig, topic, new Map([[0, 3]]), new Map([[0, 3]]))).toEqual([])
      expect(await read(rig, topic, nothing, nothing)).toEqual([])
    })

    it('continues after deleted records, and ends where all are deleted', async () => {
      const rig = await openRig()
      const topic = await rig.topic(3)
      for (const partition of [0, 1, 2]) await rig.write(topic, numbered(partition, 0, 5))
      await rig.deleteBefore(topic, 0, 3)
      await rig.deleteBefore(topic, 1, 5)
      const offsets = (await rig.stream.topicOffsets([topic])).get(topic)!
      expect([...offsets.begin.entries()].sort()).toEqual([
        [0, 3],
        [1, 5],
        [2, 0],
      ])
      expect([...offsets.end.values()]).toEqual([5, 5, 5])
      const found = await read(rig, topic, nothing, offsets.end)
      const textsOf = (own: number) => texts(found.filter(({ partition }) => partition === own))
      expect([0, 1, 2].map(textsOf)).toEqual([['3', '4'], [], ['0', '1', '2', '3', '4']])
    })

    it('reads headers as bytes, and no headers as an empty object', async () => {
      const rig = await openRig()
      const topic = await rig.topic(1)
      const headers = { 'content-type': 'application/avro', empty: '', Größe: 'ä\0' }
      await rig.write(topic, [{ ...record(0, 'a'), headers }, record(0, 'b')])
      const [a, b] = await readAll(rig, topic)
      expect(a!.headers).toEqual({
        'content-type': Buffer.from('application/avro'),
        empty: Buffer.alloc(0),
        Größe: Buffer.from('ä\0'),
      })
      expect(b!.headers).toEqual({})
    })

    it('leaves out missing topics', async () => {
      const rig = await openRig()
      const topic = await rig.topic(2)
      const missing = randomUUID()
      const found = await rig.stream.topicOffsets([missing, topic])
      expect([...found]).toEqual([
        [
          topic,
          { begin: new Map([0, 1].map(at => [at, 0])), end: new Map([0, 1].map(at => [at, 0])) },
        ],
      ])
      await expect(read(rig, missing, nothing, new Map([[0, 1]]))).rejects.toThrow()
    })

    it('rejects while Kafka is unavailable', async () => {
      const { unavailable } = await openRig()
      await expect(unavailable.topicOffsets(['any'])).rejects.toThrow()
      const reading = unavailable.readBetween('any', nothing, new Map([[0, 1]]), () => {})
      await expect(reading).rejects.toThrow()
    })

    it.each(readable)('reads records compressed with %s', async compression => {
      const rig = await openRig()
      const topic = await rig.topic(1)
      await rig.write(topic, numbered(0, 0, 100), compression)
      expect(texts(await readAll(rig, topic))).toEqual(texts100)
    })

    it.each(compressions.filter(compression => !readable.includes(compression)))(
      'names the compression when it cannot read %s',
      async compression => {
        const rig = await openRig()
        const topic = await rig.topic(1)
        await rig.write(topic, numbered(0, 0, 100), compression)
        await expect(readAll(rig, topic)).rejects.toThrow(/compression/i)
      },
    )
  })
}

const texts100 = Array.from({ length: 100 }, (_, index) => `${index}`)
