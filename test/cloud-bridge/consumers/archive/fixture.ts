import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createArchive } from '../../../../cloud-bridge/consumers/archive/archive.ts'
import type { DurableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import { durableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import type { ArchivedEvent } from '../../../../cloud-bridge/consumers/archive/parquet/columns.ts'
import { readParquet } from '../../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import { createDependencyWait } from '../../../../cloud-bridge/consumers/runtime/dependency-wait.ts'
import type { PartitionWork } from '../../../../cloud-bridge/consumers/runtime/partition-work.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import type { Effect } from '../../../../cloud-bridge/consumers/state/state.ts'
import type { ReadRecord } from '../../../../cloud-bridge/ports/event-stream.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'
import { encodeEvent, type SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'

export const TOPIC = 'readings'
export const BACKLOG = 'readings.backfill'
const DAY_MS = 86_400_000

export function temporaryDir() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-archive-'))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

/** The nth event of a zone. */
export function eventOf(zone: string, zoneSequence: number, of: Partial<SensorReading> = {}) {
  const id = `11223344-5566-8777-8000-${zoneSequence.toString(16).padStart(12, '0')}`
  return { ...goldenEvent, id, zone, zoneSequence, ...of }
}

/** Events of two zones in turn, on two days. */
export function someEvents(count: number): SensorReading[] {
  return Array.from({ length: count }, (_, at) => {
    const receivedAt = goldenEvent.receivedAt + (at >= count / 2 ? DAY_MS : 0)
    return eventOf(`z/${at % 2}`, 1 + Math.floor(at / 2), { receivedAt })
  })
}

export function recordsOf(events: readonly SensorReading[], first = 0): ReadRecord[] {
  return events.map((event, at) => recordOf(encodeEvent(event), first + at))
}

export const recordOf = (value: Buffer, offset: number): ReadRecord => ({
  ...{ partition: 0, offset, appendTimeMs: 1_700_000_001_000, key: null, value, headers: {} },
})

export type Opened = {
  dir: string
  disk?: DurableFilesystem
  fileMaxEvents?: number
  fileMaxAgeMs?: number
}

export async function openWork(opened: Opened, more: Partial<Parts> = {}): Promise<PartitionWork> {
  const { dir, disk = durableFilesystem, fileMaxEvents = 4, fileMaxAgeMs = 600_000 } = opened
  return createArchive({
    ...{ name: 'archive', dir, disk, fileMaxEvents, fileMaxAgeMs, keepDays: null },
    decodeRecords: createRecordDecoder(createEventReader(null), [TOPIC, BACKLOG]),
    deadLetterTopic: 'deadletters',
    produceDeadLetters: async () => {},
    retryWhileAway: createDependencyWait(() => {}),
    onCommitted() {},
    onSealed() {},
    ...more,
  })(0)
}
type Parts = Parameters<typeof createArchive>[0]

/** Gives a work all of a topic from where it wants to go on, in small batches. */
export async function feed(
  work: PartitionWork,
  topic: string,
  records: readonly ReadRecord[],
  size = 3,
) {
  const { signal } = new AbortController()
  const next = work.nextOffsets.get(topic) ?? 0
  const left = records.filter(({ offset }) => offset >= next)
  for (let at = 0; at < left.length; at += size) {
    await work.processRecords(topic, left.slice(at, at + size), signal)
  }
}

/** Every file of an archive besides its manifests, in order. */
export function filesIn(dir: string): string[] {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
  return files
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(dir.length + 1))
    .filter(name => !name.startsWith('manifest'))
    .sort()
}

/** Every file that the manifests name, in order. */
export function committedIn(dir: string): string[] {
  return linesIn(dir)
    .flatMap(line => line.files.map(({ name }: { name: string }) => name))
    .sort()
}

/** The newest file of the manifest of partition 0. */
export const manifestOf = (dir: string): string => manifestsOf(dir).at(-1)!

function manifestsOf(dir: string): string[] {
  const folder = join(dir, 'manifest', 'partition=0')
  const days = readdirSync(folder).filter(name => name.endsWith('.jsonl'))
  return days.sort().map(day => join(folder, day))
}

/** The lines of commits of partition 0. */
export function linesIn(dir: string) {
  const text = manifestsOf(dir).map(file => readFileSync(file, 'utf8'))
  const lines = text.join('').trimEnd().split('\n')
  return lines.map(line => JSON.parse(line)).filter(({ kind }) => kind === 'commit')
}

/** All events that stand in an archive's files, in the order of topics and offsets. */
export async function archivedIn(dir: string): Promise<ArchivedEvent[]> {
  const all: ArchivedEvent[] = []
  for (const name of filesIn(dir)) all.push(...(await readParquet(readFileSync(join(dir, name)))))
  const keyOf = (one: ArchivedEvent) => `${one.topic} ${String(one.offset).padStart(9, '0')}`
  return all.sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
}

/** What a topic of dead letters got. */
export function startGraves() {
  const letters: Effect[] = []
  return { letters, bury: async (some: readonly Effect[]) => void letters.push(...some) }
}
