import { pause } from '../../config/process/pause.ts'
import { CannotConsume, type Membership } from '../ports/consumer-group.ts'
import type { EventStream, ReadRecord, TopicOffsets } from '../ports/event-stream.ts'
import { partitionCountFault } from './co-partitioning.ts'

/** What a replaced topic is told by: a new leader may say for a moment that it ends earlier. */
const LOOKS_AT_ENDS = 5
const LOOK_AGAIN_MS = 1000

export type TopicOffset = { topic: string; partition: number; offset: number }

/** One partition of one topic: what was read of it waits here until its work takes it. */
export type PartitionQueue = {
  readonly topic: string
  readonly partition: number
  /** What is to be read next. */
  readonly next: number
  /** How far its work is. */
  readonly processedOffset: number
  /** Whether something of it is worked on. */
  readonly isBusy: boolean
  /** Whether more may be read: one reading waits behind the one that is worked on. */
  readonly hasRoom: boolean
  /**
   * Gives what was read, from `first` up to before `next`; what was given before is left out. What
   * is between that and `first` was deleted.
   */
  enqueue(records: readonly ReadRecord[], first: number, next: number): void
}

/** What a member has between two sharings out. */
export type Assignment = {
  readonly partitions: readonly number[]
  /** Aborts when it may be another's. */
  readonly signal: AbortSignal
  /** Every partition of every topic, once the work has said where to go on. */
  readonly queues: Promise<readonly PartitionQueue[]>
  /** Resolves when a lane has room that had none, or the share ends. */
  waitForRoom(): Promise<void>
  /** Commits what was done since it was last committed, if anything was. */
  commit(send: (done: readonly TopicOffset[]) => Promise<unknown>): Promise<void>
  /** Ends it; resolves when nothing of its work runs any more. */
  stop(): Promise<void>
}

type Options = Pick<Membership, 'topics' | 'onAssigned' | 'onRecords' | 'onDeleted'> & {
  stream: EventStream
  partitions: readonly number[]
  /** When the share before it was over. */
  before: Promise<void>
  /** Told when the member's own work rejected. */
  onFailure(error: unknown): void
}

/** Begins what was shared out; nothing of it runs beside what runs of the share before. */
export function startAssignment(options: Options): Assignment {
  const { stream, topics, partitions, before, onFailure } = options
  const ending = new AbortController()
  const { signal } = ending
  const running = new Set<Promise<void>>()
  const told = new Map<PartitionQueue, number>()
  let room = Promise.withResolvers<void>()
  const wake = () => {
    room.resolve()
    room = Promise.withResolvers()
  }
  /** What the work does; what it rejects with once it is aborted says nothing. */
  const own = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      if (!signal.aborted) onFailure(error)
      return undefined
    }
  }
  const take = async (topic: string, records: readonly ReadRecord[]): Promise<boolean> => {
    const taken = own(() => options.onRecords(topic, records, signal).then(() => true))
    const settled = taken.then(() => {})
    running.add(settled)
    const isDone = await taken
    running.delete(settled)
    return isDone === true && !signal.aborted
  }

  const begin = async (): Promise<readonly PartitionQueue[]> => {
    await before
    if (signal.aborted) return []
    const places = await own(() => options.onAssigned(partitions, signal))
    if (!places) return []
    const wanted = topics.flatMap(topic =>
      partitions.map(partition => ({
        topic,
        partition,
        offset: places.get(topic)?.get(partition) ?? 0,
      })),
    )
    const begins = await begun(stream, topics, wanted, signal)
    for (const [nth, { topic, partition, offset: to }] of begins.entries()) {
      const from = wanted[nth]!.offset
      // Who begins with a topic begins where that does.
      if (from > 0 && to > from) options.onDeleted?.({ topic, partition, from, to })
    }
    const lanes = begins.map(place => openLane(place, options, { take, onRoom: wake, signal }))
    for (const lane of lanes) told.set(lane, 0)
    return lanes
  }
  const lanes = begin()
  // Who reads it is told; it may have ended before anybody does.
  const ready = lanes.then(
    () => {},
    () => {},
  )

  return {
    partitions,
    signal,
    queues: lanes,
    waitForRoom: () => (signal.aborted ? Promise.resolve() : room.promise),
    async commit(send) {
      const news = [...told].filter(([lane, offset]) => lane.processedOffset > offset)
      const places = news.map(([{ topic, partition, processedOffset: offset }]) => ({
        topic,
        partition,
        offset,
      }))
      if (news.length > 0) await send(places)
      for (const [at, [lane]] of news.entries()) told.set(lane, places[at]!.offset)
    },
    async stop() {
      ending.abort()
      wake()
      await ready
      await Promise.all(running)
    },
  }
}

/** What takes what is read of a lane. */
type Worker = {
  take(topic: string, records: readonly ReadRecord[]): Promise<boolean>
  onRoom(): void
  signal: AbortSignal
}

function openLane(
  { topic, partition, offset }: TopicOffset,
  { onDeleted }: Pick<Options, 'onDeleted'>,
  { take, onRoom, signal }: Worker,
): PartitionQueue {
  let next = offset
  let done = offset
  let isBusy = false
  let waiting: { records: readonly ReadRecord[]; next: number } | null = null

  const work = async () => {
    isBusy = true
    while (waiting && !signal.aborted) {
      const now: { records: readonly ReadRecord[]; next: number } = waiting
      waiting = null
      onRoom()
      if (now.records.length > 0 && !(await take(topic, now.records))) return
      done = now.next
    }
    isBusy = false
    onRoom()
  }

  return {
    topic,
    partition,
    get next() {
      return next
    },
    get processedOffset() {
      return done
    },
    get isBusy() {
      return isBusy
    },
    get hasRoom() {
      return waiting === null
    },
    enqueue(read, first, end) {
      if (signal.aborted) return
      const from = next
      if (first > from) onDeleted?.({ topic, partition, from, to: first })
      const records =
        (read[0]?.offset ?? from) < from ? read.filter(one => one.offset >= from) : read
      next = Math.max(from, end)
      // Only who gives without looking for room comes here while something waits.
      waiting = waiting ? { records: [...waiting.records, ...records], next } : { records, next }
      if (!isBusy) void work()
    },
  }
}

/** Where to begin: where the work says, or where Kafka begins when that is gone. */
async function begun(
  stream: EventStream,
  topics: readonly string[],
  wanted: readonly TopicOffset[],
  signal: AbortSignal,
): Promise<TopicOffset[]> {
  for (let look = 1; ; look++) {
    const stretches = await stream.topicOffsets(topics)
    // One may have got more partitions while the group was at work: nobody would read them.
    requireEqualPartitionCounts(stretches)
    const ahead = wanted.find(place => place.offset > endOf(stretches, place))
    if (!ahead || signal.aborted) {
      return wanted.map(place => {
        const begin = stretches.get(place.topic)?.begin.get(place.partition) ?? 0
        return { ...place, offset: Math.max(place.offset, begin) }
      })
    }
    if (look === LOOKS_AT_ENDS) {
      throw new CannotConsume(
        `${ahead.topic}, partition ${ahead.partition}: what comes next is ${ahead.offset}, but Kafka ` +
          `ends at ${endOf(stretches, ahead)}: is it the same topic? A new one is read with --from`,
      )
    }
    await pause(LOOK_AGAIN_MS, signal)
  }
}

/** Throws CannotJoin when topics have not equally many partitions. */
export function requireEqualPartitionCounts(stretches: ReadonlyMap<string, TopicOffsets>): void {
  const fault = partitionCountFault(
    new Map([...stretches].map(([topic, { end }]) => [topic, end.size])),
  )
  if (fault !== null) throw new CannotConsume(fault)
}

function endOf(
  stretches: ReadonlyMap<string, TopicOffsets>,
  { topic, partition }: TopicOffset,
): number {
  return stretches.get(topic)?.end.get(partition) ?? Number.POSITIVE_INFINITY
}
