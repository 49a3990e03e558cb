import { CameSet } from './came.ts'
import { sha256 } from './line.ts'
import { dateOf, nameOf } from './names.ts'
import { type Archived, writeParquet } from './parquet.ts'
import type { NewFile } from './partition.ts'

/** The events that a partition gathers for its next commit, sorted as their files will be. */
export class Gathered {
  readonly came = new CameSet()
  readonly #files = new Map<string, Archived[]>()
  count = 0
  bytes = 0

  /** `bytes`: what the event has in Kafka. */
  add(row: Archived, bytes: number): void {
    const { receivedAt, zone } = row.event
    const key = JSON.stringify([row.topic, dateOf(receivedAt), zone])
    const rows = this.#files.get(key)
    if (rows) rows.push(row)
    else this.#files.set(key, [row])
    this.came.add(row.event)
    this.count++
    this.bytes += bytes
  }

  /** The files of what was gathered, one for each topic, date and zone. */
  async files(): Promise<NewFile[]> {
    const files: NewFile[] = []
    for (const rows of this.#files.values()) {
      // Each is much work: heartbeats go between them.
      await new Promise(resolve => setImmediate(resolve))
      files.push(fileOf(rows))
    }
    return files
  }
}

function fileOf(rows: readonly Archived[]): NewFile {
  const [{ event, topic, partition, offset: first }] = rows as [Archived]
  const last = rows.at(-1)!.offset
  const place = { date: dateOf(event.receivedAt), zone: event.zone, topic, partition }
  const contents = writeParquet(rows)
  return {
    name: nameOf({ ...place, first, last }),
    rows: rows.length,
    ...{ first, last, bytes: contents.length, sha256: sha256(contents), contents },
  }
}
