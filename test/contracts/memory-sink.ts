import {
  type Batch,
  type EventSink,
  type KnownFate,
  type OutgoingRecord,
  SinkUnavailable,
} from '../../cloud-bridge/ports/event-sink.ts'

/** A minimal EventSink: topics in memory, and the failures of a real sink. */
export type MemorySink = EventSink &
  AsyncDisposable & {
    readonly topics: Map<string, OutgoingRecord[][]>
    createTopic(topic: string, partitions: number): void
    /** How sends fail from now on; null: they are delivered. */
    broken: 'nothing arrives' | 'nothing is acknowledged' | null
    /** Partitions that accept no record while the other partitions do. */
    readonly stuck: Set<number>
    /** Every sent batch, once per send. */
    readonly sent: Batch[]
  }

type Unfinished = { batch: Batch; fates: (KnownFate | undefined)[] }

/** Values longer than `valueMaxBytes` are rejected. */
export function createMemorySink(valueMaxBytes = Number.POSITIVE_INFINITY): MemorySink {
  const state = {
    topics: new Map<string, OutgoingRecord[][]>(),
    sent: [] as Batch[],
    stuck: new Set<number>(),
    broken: null as MemorySink['broken'],
  }
  const append = ({ batch: { topic, records }, fates }: Unfinished) => {
    const partitions = state.topics.get(topic)
    const stray = records.find(({ partition }) => !partitions?.[partition])
    if (!partitions || stray) throw new SinkUnavailable(`${topic} has no such partition`)
    for (const [index, record] of records.entries()) {
      if (fates[index] !== undefined || state.stuck.has(record.partition)) continue
      fates[index] = record.value.length > valueMaxBytes ? 'too large' : null
      if (fates[index] === null) partitions[record.partition]!.push(record)
    }
  }
  const open = (first: Unfinished | null): EventSink & AsyncDisposable => {
    let unfinished = first
    let isSending = false
    return {
      async send(batch) {
        if (isSending) throw new Error('a second send while one is pending')
        if (unfinished && unfinished.batch !== batch)
          throw new Error(
            'another batch was sent before the fate of the unfinished batch was known',
          )
        isSending = true
        state.sent.push(batch)
        unfinished ??= { batch, fates: batch.records.map(() => undefined) }
        // Asynchronous like a network, so that a caller that does not wait is detected.
        await new Promise(resolve => setImmediate(resolve))
        isSending = false
        if (state.broken === 'nothing arrives') throw new SinkUnavailable('out of reach')
        append(unfinished)
        if (state.broken !== null) throw new SinkUnavailable('no acknowledgement')
        const { fates } = unfinished
        if (fates.includes(undefined)) {
          throw new SinkUnavailable('a partition is stuck', { fates: [...fates] })
        }
        unfinished = null
        return fates as KnownFate[]
      },
      isolate(batch) {
        if (unfinished?.batch !== batch) {
          throw new Error('this batch has no records of unknown fate to isolate')
        }
        const { fates } = unfinished
        const records = batch.records.filter((_, index) => fates[index] === undefined)
        const remaining = { topic: batch.topic, records }
        unfinished = null
        return {
          batch: remaining,
          sink: open({ batch: remaining, fates: records.map(() => undefined) }),
        }
      },
      async [Symbol.asyncDispose]() {},
    }
  }
  return Object.assign(state, open(null), {
    createTopic(topic: string, partitions: number) {
      const empty = Array.from({ length: partitions }, () => [])
      state.topics.set(topic, empty)
    },
  })
}
