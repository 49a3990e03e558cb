import { CameSet } from './came.ts'
import { sha256 } from './line.ts'
import { dateOf, nameOf } from './names.ts'
import { type Archived, writeParquet } from './parquet.ts'
import type { NewFile } from './partition.ts'

const DAY_MS = 86_400_000

/** The events that a partition gathers for its next commit, sorted as their files will be. */
export class Gathered {
  readonly came = new CameSet()
  /** By topic, day of receivedAt and zone. */
  readonly #files = new Map<string, Map<number, Map<string, Archived[]>>>()
  count = 0
  bytes = 0

  /** `bytes`: what the event has in Kafka. */
  add(row: Archived, bytes: number): void {
    const { receivedAt, zone } = row.event
    const days = entryOf(this.#files, row.topic, () => new Map<number, Map<string, Archived[]>>())
    const zones = entryOf(
      days,
      Math.floor(receivedAt / DAY_MS),
      () => new Map<string, Archived[]>(),
    )
    entryOf(zones, zone, (): Archived[] => []).push(row)
    this.came.add(row.event)
    this.count++
    this.bytes += bytes
  }

  /** The files of what was gathered, one for each topic, date and zone. */
  async files(): Promise<NewFile[]> {
    const files: NewFile[] = []
    for (const days of this.#files.values()) {
      for (const zones of days.values()) {
        for (const rows of zones.values()) {
          // Each is much work: heartbeats go between them.
          await new Promise(resolve => setImmediate(resolve))
          files.push(fileOf(rows))
        }
      }
    }
    return files
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make()
  map.set(key, found)
  return found
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
