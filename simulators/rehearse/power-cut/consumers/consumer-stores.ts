import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { durableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import { claimPartition } from '../../../../cloud-bridge/consumers/archive/partition.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { keyOf, mulberry32 } from '../../../building/random.ts'

const TOPIC = 'readings'
const ROWS = 40
const CONTENT_MAX_BYTES = 12_000

/** A consumer's files under rehearsal: an archive, or the state in SQLite files. */
export type Consumer = {
  /** How many of the first commits that returned must survive a power cut. */
  durableOf(returned: number): number
  /** Opens the files in a folder as a new owner does. */
  open(dir: string, seed: number): Promise<OpenConsumer>
}

export type OpenConsumer = {
  /** The number of the last commit that the opened files contain. */
  readonly committed: number
  commit(number: number): Promise<void>
  /** Returns a sentence for each difference between the files and the commits up to `committed`. */
  faults(): Promise<string[]>
  close(): Promise<void>
}

/** The content of the commit with this number. */
function contentOf(seed: number, number: number): Buffer {
  const random = mulberry32(keyOf(seed, `content ${number}`))
  const bytes = Buffer.alloc(Math.floor(random() * CONTENT_MAX_BYTES) + 1)
  for (let at = 0; at < bytes.length; at++) bytes[at] = random() * 256
  return bytes
}

const archive: Consumer = {
  durableOf: returned => returned,
  async open(dir, seed) {
    const claimed = { dir, partition: 0, disk: durableFilesystem, onSealed() {} }
    const partition = await claimPartition(claimed)
    const nameOf = (number: number) => `zone=z${number % 3}/date=2026-01-01/${number}.parquet`
    const committed = (partition.committed.nextOffsets[TOPIC] ?? 1) - 1
    return {
      committed,
      async commit(number) {
        const contents = contentOf(seed, number)
        const sha256 = createHash('sha256').update(contents).digest('hex')
        const range = { rows: 1, first: number, last: number, bytes: contents.length }
        const files = [{ name: nameOf(number), ...range, sha256, contents }]
        await partition.commit({ files, events: [], nextOffsets: { [TOPIC]: number + 1 } })
      },
      async faults() {
        const numbers = Array.from({ length: committed }, (_, index) => index + 1)
        return numbers.flatMap(number => {
          const file = join(dir, nameOf(number))
          if (!existsSync(file)) return [`${nameOf(number)} is in the manifest and missing`]
          const isEqual = readFileSync(file).equals(contentOf(seed, number))
          return isEqual ? [] : [`${nameOf(number)} has other content than the manifest says`]
        })
      },
      async close() {},
    }
  },
}

/**
 * A power cut may lose the newest commits of a state, but only together with their offsets: then
 * the consumer reads the same records from Kafka again. The first commit survives, because a
 * consumer refuses an empty state when its group has offsets in Kafka.
 */
const state: Consumer = {
  durableOf: returned => Math.min(1, returned),
  async open(dir, seed) {
    const store = openSqliteStates(dir)
    const opened = await store.open('consumer')
    const partition = await opened.claim(0)
    const keyOfRow = (number: number) => `row ${number % ROWS}`
    const committed = (partition.offsets.get(TOPIC) ?? 1) - 1
    return {
      committed,
      commit: number =>
        partition.commit({
          offsets: new Map([[TOPIC, number + 1]]),
          rows: new Map([[keyOfRow(number), contentOf(seed, number)]]),
        }),
      async faults() {
        const newest = new Map<string, number>()
        for (let number = 1; number <= committed; number++) {
          newest.set(keyOfRow(number), number)
        }
        const keys = Array.from({ length: ROWS }, (_, row) => keyOfRow(row))
        const values = await partition.get(keys)
        return keys.flatMap((key, index) => {
          const number = newest.get(key)
          const expected = number === undefined ? null : contentOf(seed, number)
          const value = values[index] ?? null
          const isEqual = value === null ? expected === null : expected?.equals(value)
          return isEqual ? [] : [`${key} is not that of the offset ${committed + 1}`]
        })
      },
      async close() {
        await opened[Symbol.asyncDispose]()
        await store[Symbol.asyncDispose]()
      },
    }
  },
}

export const consumers: Record<'archive' | 'state', Consumer> = { archive, state }
