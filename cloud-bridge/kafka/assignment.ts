import { pause } from '../../config/process/pause.ts'
import { CannotConsume, type Membership } from '../ports/consumer-group.ts'
import type { EventStream, ReadRecord, TopicOffsets } from '../ports/event-stream.ts'
import { partitionCountFault } from './co-partitioning.ts'

/**
 * How often the end offsets are requested: a new leader may report too low an end offset for a
 * moment, and a replaced topic has a lower one for good.
 */
const END_OFFSET_ATTEMPTS = 5
const END_OFFSET_RETRY_MS = 1000

/** The offset of the next record to process. */
export type TopicOffset = { topic: string; partition: number; offset: number }

/** The fetched records of one partition of one topic, until `onRecords` processes them. */
export type PartitionQueue = {
  readonly topic: string
  readonly partition: number
  /** The next offset to fetch. */
  readonly nextOffset: number
  /** The offset after the last processed record. */
  readonly processedOffset: number
  /** Whether records are being processed now. */
  readonly isBusy: boolean
  /** Whether another fetch may be enqueued: one fetch may wait while another is processed. */
  readonly hasRoom: boolean
  /**
   * Enqueues the records of one fetch, from offset `first` to before `end`; records that were
   * enqueued before are left out. Kafka deleted the offsets from `nextOffset` to before `first`.
   */
  enqueue(records: readonly ReadRecord[], first: number, end: number): void
}

/** The partitions of a member between two rebalances. */
export type Assignment = {
  readonly partitions: readonly number[]
  /** Aborts when another member may own the partitions. */
  readonly signal: AbortSignal
  /** One queue per topic and partition, as soon as `onAssigned` has given the start offsets. */
  readonly queues: Promise<readonly PartitionQueue[]>
  /** Resolves when a full queue has room again, or when the assignment stops. */
  waitForRoom(): Promise<void>
  /** Passes the offsets that were processed since the last commit to `send`, if there are any. */
  commit(send: (processed: readonly TopicOffset[]) => Promise<unknown>): Promise<void>
  /** Aborts the signal. Resolves when no call of `onAssigned` or `onRecords` runs any more. */
  stop(): Promise<void>
}

type Options = Pick<Membership, 'topics' | 'onAssigned' | 'onRecords' | 'onDeleted'> & {
  stream: EventStream
  partitions: readonly number[]
  /** Resolves when the previous assignment has stopped. */
  previousStopped: Promise<void>
  /** Called when `onAssigned` or `onRecords` rejects. */
  onFailure(error: unknown): void
}

/** Starts an assignment. Processing begins when the previous assignment has stopped. */
export function startAssignment(options: Options): Assignment {
  const { stream, topics, partitions, previousStopped, onFailure } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const running = new Set<Promise<void>>()
  const committed = new Map<PartitionQueue, number>()
  let room = Promise.withResolvers<void>()
  const onRoom = () => {
    room.resolve()
    room = Promise.withResolvers()
  }
  /** Calls the member's code. A rejection after the abort is ignored. */
  const call = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      if (!signal.aborted) onFailure(error)
      return undefined
    }
  }
  const processRecords = async (topic: string, records: readonly ReadRecord[]) => {
    const processed = call(() => options.onRecords(topic, records, signal).then(() => true))
    const ended = processed.then(() => {})
    running.add(ended)
    const isProcessed = await processed
    running.delete(ended)
    return isProcessed === true && !signal.aborted
  }

  const openQueues = async (): Promise<readonly PartitionQueue[]> => {
    await previousStopped
    if (signal.aborted) return []
    const startOffsets = await call(() => options.onAssigned(partitions, signal))
    if (!startOffsets) return []
    const requested = topics.flatMap(topic =>
      partitions.map(partition => {
        const offset = startOffsets.get(topic)?.get(partition) ?? 0
        return { topic, partition, offset }
      }),
    )
    const starts = await existingOffsets(stream, topics, requested, signal)
    for (const [index, { topic, partition, offset: to }] of starts.entries()) {
      const from = requested[index]!.offset
      // Offset 0 means the beginning, wherever the partition begins: no record was skipped.
      if (from > 0 && to > from) options.onDeleted?.({ topic, partition, from, to })
    }
    const processing = { processRecords, onRoom, signal }
    const queues = starts.map(start => createQueue(start, options, processing))
    for (const queue of queues) committed.set(queue, 0)
    return queues
  }
  const queues = openQueues()
  // The callers that await `queues` handle a rejection. This promise only waits for the end and
  // never rejects, so that no rejection is unhandled.
  const opened = queues.then(
    () => {},
    () => {},
  )

  return {
    partitions,
    signal,
    queues,
    waitForRoom: () => (signal.aborted ? Promise.resolve() : room.promise),
    async commit(send) {
      const advanced = [...committed].filter(([queue, offset]) => queue.processedOffset > offset)
      const offsets = advanced.map(([{ topic, partition, processedOffset: offset }]) => ({
        topic,
        partition,
        offset,
      }))
      if (advanced.length > 0) await send(offsets)
      for (const [index, [queue]] of advanced.entries()) {
        committed.set(queue, offsets[index]!.offset)
      }
    },
    async stop() {
      stopping.abort()
      onRoom()
      await opened
      await Promise.all(running)
    },
  }
}

type Processing = {
  /** Resolves with true when the records were processed, false after a failure or an abort. */
  processRecords(topic: string, records: readonly ReadRecord[]): Promise<boolean>
  onRoom(): void
  signal: AbortSignal
}

type Fetch = { records: readonly ReadRecord[]; end: number }

function createQueue(
  { topic, partition, offset }: TopicOffset,
  { onDeleted }: Pick<Options, 'onDeleted'>,
  { processRecords, onRoom, signal }: Processing,
): PartitionQueue {
  let nextOffset = offset
  let processedOffset = offset
  let isBusy = false
  let waiting: Fetch | null = null

  const processWaiting = async () => {
    isBusy = true
    while (waiting && !signal.aborted) {
      const { records, end }: Fetch = waiting
      waiting = null
      onRoom()
      if (records.length > 0 && !(await processRecords(topic, records))) return
      processedOffset = end
    }
    isBusy = false
    onRoom()
  }

  return {
    topic,
    partition,
    get nextOffset() {
      return nextOffset
    },
    get processedOffset() {
      return processedOffset
    },
    get isBusy() {
      return isBusy
    },
    get hasRoom() {
      return waiting === null
    },
    enqueue(fetched, first, end) {
      if (signal.aborted) return
      const from = nextOffset
      if (first > from) onDeleted?.({ topic, partition, from, to: first })
      const hasDuplicates = (fetched[0]?.offset ?? from) < from
      const records = hasDuplicates ? fetched.filter(record => record.offset >= from) : fetched
      nextOffset = Math.max(from, end)
      // A caller that does not check `hasRoom` may enqueue while another fetch waits.
      waiting = waiting
        ? { records: [...waiting.records, ...records], end: nextOffset }
        : { records, end: nextOffset }
      if (!isBusy) void processWaiting()
    },
  }
}

/** The requested offsets; where Kafka deleted records, the first offset that is left. */
async function existingOffsets(
  stream: EventStream,
  topics: readonly string[],
  requested: readonly TopicOffset[],
  signal: AbortSignal,
): Promise<TopicOffset[]> {
  for (let attempt = 1; ; attempt++) {
    const offsets = await stream.topicOffsets(topics)
    // A topic may have got more partitions while the group ran; no member would read the new
    // partitions.
    requireEqualPartitionCounts(offsets)
    const beyond = requested.find(start => start.offset > endOf(offsets, start))
    if (!beyond || signal.aborted) {
      return requested.map(start => {
        const begin = offsets.get(start.topic)?.begin.get(start.partition) ?? 0
        return { ...start, offset: Math.max(start.offset, begin) }
      })
    }
    if (attempt === END_OFFSET_ATTEMPTS) {
      throw new CannotConsume(
        `${beyond.topic}, partition ${beyond.partition}: the next offset is ${beyond.offset}, but ` +
          `the topic ends at ${endOf(offsets, beyond)}; if the topic was replaced, read the new ` +
          'one with --from',
      )
    }
    await pause(END_OFFSET_RETRY_MS, signal)
  }
}

/** Throws CannotConsume when the topics have different numbers of partitions. */
export function requireEqualPartitionCounts(topics: ReadonlyMap<string, TopicOffsets>): void {
  const counts = new Map([...topics].map(([topic, { end }]) => [topic, end.size]))
  const fault = partitionCountFault(counts)
  if (fault !== null) throw new CannotConsume(fault)
}

function endOf(
  offsets: ReadonlyMap<string, TopicOffsets>,
  { topic, partition }: TopicOffset,
): number {
  return offsets.get(topic)?.end.get(partition) ?? Number.POSITIVE_INFINITY
}
