import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDelivery } from '../../cloud-bridge/forward/forwarder.ts'
import {
  type Batch,
  type EventSink,
  type Fates,
  type KnownFate,
  type OutgoingRecord,
  SinkUnavailable,
} from '../../cloud-bridge/ports/event-sink.ts'
import { createCircuitBreaker } from '../../cloud-bridge/retry/circuit-breaker.ts'

/** A sink under test, and what a test needs to do to the topics behind the sink. */
export type SinkRig = AsyncDisposable & {
  sink: EventSink
  /** Creates an empty topic. */
  topic(partitions: number): Promise<string>
  /** The records of a topic, per partition in order, as a new reader finds them. */
  read(topic: string): Promise<{ key: Buffer | null; value: Buffer }[][]>
  /** From now on no batch arrives at Kafka, or every batch arrives but none is acknowledged. */
  breakDown(how: 'nothing arrives' | 'nothing is acknowledged'): void
  repair(): void | Promise<void>
  /** From now on this partition accepts nothing while the others do, until `repair`. */
  stick(partition: number): void | Promise<void>
  /**
   * A record with this many random bytes is rejected permanently; a record with a tenth of them is
   * accepted.
   */
  tooLargeBytes: number
}

/** A record whose value is `text`. */
export function record(partition: number, text: string): OutgoingRecord {
  return { key: Buffer.from(`zone ${partition}`), partition, value: Buffer.from(text) }
}

/** The values in each partition, as text. */
export function textsIn(partitions: { value: Buffer }[][]): string[][] {
  return partitions.map(records => records.map(({ value }) => value.toString()))
}

/** The `textsIn` of a topic in which all these records are delivered. */
export function expectedTexts(partitions: number, records: readonly OutgoingRecord[]): string[][] {
  const of = (partition: number) => records.filter(candidate => candidate.partition === partition)
  return textsIn(Array.from({ length: partitions }, (_, partition) => of(partition)))
}

/** The contract of the port EventSink, for every adapter. */
export function describeEventSink(name: string, openRig: () => Promise<SinkRig>): void {
  describe(`the event sink ${name}`, { timeout: 60_000 }, () => {
    let rig: SinkRig
    beforeEach(async () => {
      rig = await openRig()
    })
    afterEach(() => rig[Symbol.asyncDispose]())

    const texts = async (topic: string) => textsIn(await rig.read(topic))
    const delivered = ({ records }: Batch) => records.map(() => null)

    it('delivers keys, values and partitions unchanged', async () => {
      const topic = await rig.topic(3)
      const values = [randomBytes(500), Buffer.alloc(0), Buffer.from([0, 255, 13, 10])]
      const keys = ['Halle 1/Süd', 'a', 'zone with\0 and \n']
      const records = values.map((value, index) => ({
        key: Buffer.from(keys[index]!),
        partition: 2 - index,
        value,
      }))
      const batch = { topic, records }
      expect(await rig.sink.send(batch)).toEqual(delivered(batch))
      const expected = records.map(({ key, value }) => [{ key, value }]).reverse()
      const found = await rig.read(topic)
      expect(found.map(partition => partition.map(({ key, value }) => ({ key, value })))).toEqual(
        expected,
      )
    })

    it('delivers each record once and in order, over many sends to several partitions', async () => {
      const topic = await rig.topic(3)
      const all: OutgoingRecord[] = []
      for (let send = 0; send < 10; send++) {
        // Sizes and partitions differ from send to send; some partitions are left out.
        const records = Array.from({ length: 1 + ((send * 7) % 12) }, (_, index) =>
          record((send + index * index) % 3, `${send}.${index}`),
        )
        all.push(...records)
        const batch = { topic, records }
        expect(await rig.sink.send(batch)).toEqual(delivered(batch))
      }
      expect(await texts(topic)).toEqual(expectedTexts(3, all))
    })

    it('accepts an empty batch', async () => {
      const topic = await rig.topic(1)
      expect(await rig.sink.send({ topic, records: [] })).toEqual([])
      expect(await rig.sink.send({ topic, records: [record(0, 'a')] })).toEqual([null])
      expect(await texts(topic)).toEqual([['a']])
    })

    for (const how of ['nothing arrives', 'nothing is acknowledged'] as const) {
      it(`while ${how}: is unavailable, and then delivers the identical batch once`, async () => {
        const topic = await rig.topic(2)
        const before = { topic, records: [record(0, 'a'), record(1, 'b')] }
        const during = { topic, records: [record(0, 'c'), record(1, 'd'), record(0, 'e')] }
        const after = { topic, records: [record(0, 'f'), record(1, 'g'), record(0, 'h')] }
        await rig.sink.send(before)
        rig.breakDown(how)
        await expect(rig.sink.send(during)).rejects.toThrow(SinkUnavailable)
        await expect(rig.sink.send(during)).rejects.toThrow(SinkUnavailable)
        rig.repair()
        expect(await rig.sink.send(during)).toEqual(delivered(during))
        expect(await rig.sink.send(after)).toEqual(delivered(after))
        expect(await texts(topic)).toEqual([
          ['a', 'c', 'e', 'f', 'h'],
          ['b', 'd', 'g'],
        ])
      })
    }

    it('is unavailable from the start, and delivers later', async () => {
      const topic = await rig.topic(1)
      rig.breakDown('nothing arrives')
      const batch = { topic, records: [record(0, 'a'), record(0, 'b')] }
      await expect(rig.sink.send(batch)).rejects.toThrow(SinkUnavailable)
      rig.repair()
      expect(await rig.sink.send(batch)).toEqual([null, null])
      expect(await texts(topic)).toEqual([['a', 'b']])
    })

    it('rejects only a too large record, with a reason; the others are delivered in order', async () => {
      const topic = await rig.topic(2)
      const huge = { ...record(0, ''), value: randomBytes(rig.tooLargeBytes) }
      const records = [
        ...['a', 'b', 'c'].map(text => record(0, text)),
        huge,
        ...['d', 'e'].map(text => record(0, text)),
        ...['f', 'g'].map(text => record(1, text)),
      ]
      const fates = await rig.sink.send({ topic, records })
      expect(fates.map(fate => fate !== null)).toEqual(records.map(candidate => candidate === huge))
      expect(fates[3]).toMatch(/\w/)
      const next = { topic, records: [record(0, 'h'), record(0, 'i'), record(1, 'j')] }
      expect(await rig.sink.send(next)).toEqual(delivered(next))
      expect(await texts(topic)).toEqual([
        ['a', 'b', 'c', 'd', 'e', 'h', 'i'],
        ['f', 'g', 'j'],
      ])
    })

    it('rejects only too large records, also many of them', async () => {
      const topic = await rig.topic(2)
      const isHuge = (index: number) => index % 3 === 0
      const records = Array.from({ length: 9 }, (_, index) => {
        const small = record(index % 2, String(index))
        return isHuge(index) ? { ...small, value: randomBytes(rig.tooLargeBytes) } : small
      })
      const fates = await rig.sink.send({ topic, records })
      expect(fates.map(fate => fate !== null)).toEqual(records.map((_, index) => isHuge(index)))
      expect(await texts(topic)).toEqual([
        ['2', '4', '8'],
        ['1', '5', '7'],
      ])
    })

    it('accepts a batch larger than the record limit', async () => {
      const topic = await rig.topic(1)
      const valueBytes = Math.floor(rig.tooLargeBytes / 10)
      const records = Array.from({ length: 15 }, () => ({
        ...record(0, ''),
        value: randomBytes(valueBytes),
      }))
      const batch = { topic, records }
      expect(await rig.sink.send(batch)).toEqual(delivered(batch))
      const [found] = await rig.read(topic)
      expect(found!.map(({ value }) => value)).toEqual(records.map(({ value }) => value))
    })

    it('is unavailable for a missing partition; the other partitions get their records once', async () => {
      const topic = await rig.topic(2)
      const batch = { topic, records: [record(0, 'a'), record(5, 'b'), record(1, 'c')] }
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(rig.sink.send(batch)).rejects.toThrow(SinkUnavailable)
      }
      const found = await texts(topic)
      expect(found.flat().sort()).toEqual([...new Set(found.flat())].sort())
      expect(found.flat()).not.toContain('b')
    })

    it('reports the known fates when only some partitions accept', async () => {
      const topic = await rig.topic(3)
      await rig.sink.send({
        topic,
        records: [0, 1, 2].map(partition => record(partition, 'before')),
      })
      await rig.stick(1)
      const batch = { topic, records: [record(0, 'a'), record(1, 'b'), record(2, 'c')] }
      expect(await untilOnly([1], rig.sink, batch)).toEqual([null, undefined, null])
      await rig.repair()
      expect(await deliver(rig.sink, batch)).toEqual(delivered(batch))
      expect(await texts(topic)).toEqual(['a', 'b', 'c'].map(text => ['before', text]))
    })

    it('isolates a stuck partition: both sinks continue, each record once and in order', async () => {
      const topic = await rig.topic(3)
      await rig.sink.send({
        topic,
        records: [0, 1, 2].map(partition => record(partition, 'before')),
      })
      await rig.stick(1)
      const huge = { ...record(2, ''), value: randomBytes(rig.tooLargeBytes) }
      const records = ['a', 'b', 'c'].map((text, index) => record(index, text))
      const batch = { topic, records: [...records, huge, record(1, 'd')] }
      const fates = [null, undefined, null, expect.any(String), undefined]
      expect(await untilOnly([1], rig.sink, batch)).toEqual(fates)
      const { batch: remaining, sink } = rig.sink.isolate(batch)
      await using isolated = sink
      expect(remaining.records).toEqual([records[1], batch.records[4]])
      const next = { topic, records: [record(0, 'e'), record(2, 'f')] }
      expect(await deliver(rig.sink, next)).toEqual(delivered(next))
      await expect(isolated.send(remaining)).rejects.toThrow(SinkUnavailable)
      await rig.repair()
      expect(await deliver(isolated, remaining)).toEqual([null, null])
      const more = { topic, records: [record(1, 'g')] }
      expect(await isolated.send(more)).toEqual([null])
      expect(await texts(topic)).toEqual([
        ['before', 'a', 'e'],
        ['before', 'b', 'd', 'g'],
        ['before', 'c', 'f'],
      ])
    })

    it('is unavailable for a topic that does not exist', async () => {
      const batch = { topic: 'no-such-topic', records: [record(0, 'a')] }
      await expect(rig.sink.send(batch)).rejects.toThrow(SinkUnavailable)
    })
  })
}

/** Sends a batch until exactly these partitions have unknown fates; returns the fates. */
async function untilOnly(partitions: number[], sink: EventSink, batch: Batch): Promise<Fates> {
  for (;;) {
    const failure = await sink.send(batch).then(
      () => null,
      error => error,
    )
    expect(failure).toBeInstanceOf(SinkUnavailable)
    const { fates } = failure as SinkUnavailable
    const unknown = batch.records.filter((_, index) => fates?.[index] === undefined)
    const undecided = new Set(unknown.map(({ partition }) => partition))
    if (fates && String([...undecided]) === String(partitions)) return fates
  }
}

/** Delivers a batch with retries; after a repair the first sends may still fail. */
function deliver(sink: EventSink, batch: Batch): Promise<KnownFate[] | null> {
  const { signal } = new AbortController()
  const circuit = createCircuitBreaker({ firstMs: 20, maxMs: 100, stableMs: 0 })
  return createDelivery({ sink, signal, circuit, onUnavailable: () => {} })(batch)
}
