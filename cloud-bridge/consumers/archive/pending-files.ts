import { type FilePathParts, filePathOf, utcDateOf } from './files/paths.ts'
import { sha256 } from './manifest/entry.ts'
import { EventSet } from './manifest/event-set.ts'
import type { ArchivedEvent } from './parquet/columns.ts'
import { EventColumns } from './parquet/parquet.ts'
import type { NewFile } from './partition.ts'

const DAY_MS = 86_400_000

type Filling = { place: FilePathParts; columns: EventColumns }
type Zones = Map<string, Filling>

/** The events that a partition gathers for its next commit, in the files that they will be. */
export class PendingFiles {
  readonly came = new EventSet()
  /** By topic, day of receivedAt and zone. */
  readonly #topics = new Map<string, Map<number, Zones>>()
  count = 0
  bytes = 0

  /** False when the event is there already. `bytes`: what it has in Kafka. */
  add(row: ArchivedEvent, bytes: number): boolean {
    if (!this.came.add(row.event)) return false
    const file = this.#fileOf(row)
    file.columns.add(row)
    file.place.last = row.offset
    this.count++
    this.bytes += bytes
    return true
  }

  /** The files of what was gathered, one for each topic, date and zone. */
  async files(): Promise<NewFile[]> {
    const days = [...this.#topics.values()].flatMap(one => [...one.values()])
    const files: NewFile[] = []
    for (const { place, columns } of days.flatMap(zones => [...zones.values()])) {
      // Each is much work: heartbeats go between them.
      await new Promise(resolve => setImmediate(resolve))
      const contents = columns.toParquet()
      const { first, last } = place
      const about = { first, last, bytes: contents.length, sha256: sha256(contents) }
      files.push({ name: filePathOf(place), rows: columns.rows, ...about, contents })
    }
    return files
  }

  #fileOf({ event, topic, partition, offset }: ArchivedEvent): Filling {
    const { receivedAt, zone } = event
    const days = entryOf(this.#topics, topic, () => new Map<number, Zones>())
    const zones = entryOf(days, Math.floor(receivedAt / DAY_MS), (): Zones => new Map())
    return entryOf(zones, zone, () => ({
      place: { date: utcDateOf(receivedAt), zone, topic, partition, first: offset, last: offset },
      columns: new EventColumns(),
    }))
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
