import type { ReadRecord } from '../../event-stream.ts'
import type { Bury } from '../runtime/burial.ts'
import { deadLetter } from '../runtime/dead-letter.ts'
import type { Patience } from '../runtime/patience.ts'
import type { Read } from '../runtime/reading.ts'
import { type Counts, emptyCounts } from '../runtime/stateful.ts'
import type { Work } from '../runtime/work.ts'
import { Gathered } from './gathered.ts'
import { dateOf } from './names.ts'
import { type ClaimOptions, claimPartition } from './partition.ts'
import { startTurns } from './turns.ts'

/** What gathers in memory of one partition, in bytes of Kafka: as objects it is some times that. */
const GATHERED_MAX_BYTES = 32 * 1024 * 1024
const DAY_MS = 86_400_000
const TIDY_EVERY_MS = 3_600_000

export type ArchiveOptions = ClaimOptions & {
  name: string
  /** So much is gathered for a commit at most. */
  fileMaxEvents: number
  fileMaxAgeMs: number
  /** Files are let go so many days after their commit; null: never. */
  keepDays: number | null
  read(records: readonly ReadRecord[]): Promise<Read>
  bury: Bury
  deadletters: string
  /** Tries again what is away for a while. */
  patience: Patience
  /**
   * A commit was made, with how many records of each kind; the order of events means nothing here.
   */
  onCommitted(counts: Counts): void
}

/**
 * The work of the archive on one partition. Events gather in memory until there are enough for
 * files, or the oldest is old enough, and are committed when it ends: what a kill takes before is
 * read again. Where to go on and what is a duplicate follow from the archive alone.
 */
export async function openArchiveWork(options: ArchiveOptions): Promise<Work> {
  const { name, deadletters, patience, fileMaxAgeMs, keepDays } = options
  const archive = await claimPartition(options)
  const next = new Map(Object.entries(archive.committed.next))
  const ending = new AbortController()
  let counts = emptyCounts()
  let gathered = new Gathered()
  let timer: NodeJS.Timeout | null = null
  const turns = startTurns()
  // When it fails, all that comes after it does.
  const inBackground = (work: () => Promise<void>) => void turns.take(work).catch(() => {})

  const commit = async (persist: (work: () => Promise<void>) => Promise<void>) => {
    if (timer === null) return
    const step = { came: gathered.came.all, next: Object.fromEntries(next) }
    const files = await gathered.files()
    await persist(() => archive.commit({ ...step, files }))
    clearTimeout(timer)
    timer = null
    gathered = new Gathered()
    options.onCommitted(counts)
    counts = emptyCounts()
  }
  const persistently = (signal: AbortSignal) => (work: () => Promise<void>) =>
    patience(work, signal)
  const onAge = () => inBackground(() => commit(persistently(ending.signal)))
  const tidy = async () => {
    if (keepDays === null) return
    const from = dateOf(Date.now() - keepDays * DAY_MS)
    await patience(() => archive.letGoBefore(from), ending.signal)
  }
  const gather = (topic: string, { events, unusable }: Read) => {
    for (const { event, record } of events) {
      if (archive.committed.came.has(event) || gathered.came.has(event)) counts.duplicate++
      else {
        const { partition, offset, heardAt, value } = record
        gathered.add({ event, topic, partition, offset, heardAt }, value.length)
        counts['in order']++
      }
    }
    counts.unusable += unusable.length
  }

  const tidying = setInterval(() => inBackground(tidy), TIDY_EVERY_MS).unref()
  inBackground(tidy)
  return {
    next,
    take: (topic, records, signal) =>
      turns.take(async () => {
        const end = records.at(-1)
        if (!end) return
        const read = await patience(() => options.read(records), signal)
        const letters = read.unusable.map(one =>
          deadLetter(one, { consumer: name, topic, deadletters }),
        )
        if (letters.length > 0) await patience(() => options.bury(letters, signal), signal)
        signal.throwIfAborted()
        gather(topic, read)
        next.set(topic, end.offset + 1)
        timer ??= setTimeout(onAge, fileMaxAgeMs)
        const isFull =
          gathered.count >= options.fileMaxEvents || gathered.bytes >= GATHERED_MAX_BYTES
        if (isFull) await commit(persistently(signal))
      }),
    async [Symbol.asyncDispose]() {
      ending.abort()
      clearInterval(tidying)
      // What cannot be committed now is read again.
      await turns.end(() => commit(work => work())).catch(() => {})
      if (timer) clearTimeout(timer)
    },
  }
}
