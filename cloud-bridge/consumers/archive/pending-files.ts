import { DAY_MS, type FilePathParts, filePathOf, utcDateOf } from './files/paths.ts'
import { sha256 } from './manifest/entry.ts'
import { EventSet } from './manifest/event-set.ts'
import type { ArchivedEvent } from './parquet/columns.ts'
import { EventColumns } from './parquet/parquet.ts'
import type { NewFile } from './partition.ts'

type PendingFile = { path: FilePathParts; columns: EventColumns }
type FilesByZone = Map<string, PendingFile>

/** The pending events of a partition, in the files of its next commit. */
export class PendingFiles {
  readonly events = new EventSet()
  /** The files by topic, day of `receivedAt` and zone. */
  readonly #topics = new Map<string, Map<number, FilesByZone>>()
  count = 0
  bytes = 0

  /** Adds an event with its size in Kafka; returns false for an event that was added before. */
  add(row: ArchivedEvent, bytes: number): boolean {
    if (!this.events.add(row.event)) return false
    const file = this.#fileOf(row)
    file.columns.add(row)
    file.path.last = row.offset
    this.count++
    this.bytes += bytes
    return true
  }

  /** Encodes the pending events as files, one for each topic, date and zone. */
  async createFiles(): Promise<NewFile[]> {
    const days = [...this.#topics.values()].flatMap(byDay => [...byDay.values()])
    const files: NewFile[] = []
    for (const { path, columns } of days.flatMap(byZone => [...byZone.values()])) {
      // A file takes long to encode, so heartbeats must be able to run between two files.
      await new Promise(resolve => setImmediate(resolve))
      const contents = columns.toParquet()
      const { first, last } = path
      const entry = { first, last, bytes: contents.length, sha256: sha256(contents) }
      files.push({ name: filePathOf(path), rows: columns.rows, ...entry, contents })
    }
    return files
  }

  #fileOf({ event, topic, partition, offset }: ArchivedEvent): PendingFile {
    const { receivedAt, zone } = event
    const days = findOrCreate(this.#topics, topic, () => new Map<number, FilesByZone>())
    const day = Math.floor(receivedAt / DAY_MS)
    const zones = findOrCreate(days, day, (): FilesByZone => new Map())
    return findOrCreate(zones, zone, () => ({
      path: { date: utcDateOf(receivedAt), zone, topic, partition, first: offset, last: offset },
      columns: new EventColumns(),
    }))
  }
}

function findOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const created = create()
  map.set(key, created)
  return created
}
