import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ArchiveOptions,
  createArchive,
} from '../../../../cloud-bridge/consumers/archive/archive.ts'
import type { DurableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import { durableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import { DAY_MS } from '../../../../cloud-bridge/consumers/archive/files/paths.ts'
import type { ArchivedEvent } from '../../../../cloud-bridge/consumers/archive/parquet/columns.ts'
import { readParquet } from '../../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import { createDependencyRetry } from '../../../../cloud-bridge/consumers/runtime/dependency-retry.ts'
import type { PartitionWork } from '../../../../cloud-bridge/consumers/runtime/partition-work.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import type { Effect } from '../../../../cloud-bridge/consumers/state/state.ts'
import type { ReadRecord } from '../../../../cloud-bridge/ports/event-stream.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'
import { encodeEvent, type SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'

export const TOPIC = 'readings'
export const BACKFILL = 'readings.backfill'

export function createTemporaryDir() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-archive-'))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

/** The nth event of a zone. */
export function eventOf(zone: string, zoneSequence: number, fields: Partial<SensorReading> = {}) {
  const id = `11223344-5566-8777-8000-${zoneSequence.toString(16).padStart(12, '0')}`
  return { ...goldenEvent, id, zone, zoneSequence, ...fields }
}

/** Events that alternate between two zones, half of them on a second day. */
export function createEvents(count: number): SensorReading[] {
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

export type WorkOptions = {
  dir: string
  disk?: DurableFilesystem
  fileMaxEvents?: number
  fileMaxAgeMs?: number
}

export async function openWork(
  workOptions: WorkOptions,
  archiveOptions: Partial<ArchiveOptions> = {},
): Promise<PartitionWork> {
  const { dir, disk = durableFilesystem, fileMaxEvents = 4, fileMaxAgeMs = 600_000 } = workOptions
  return createArchive({
    ...{ name: 'archive', dir, disk, fileMaxEvents, fileMaxAgeMs, keepDays: null },
    compactAfterDays: null,
    decodeRecords: createRecordDecoder(createEventReader(null), [TOPIC, BACKFILL]),
    deadLetterTopic: 'deadletters',
    produceDeadLetters: async () => {},
    retryWhileUnavailable: createDependencyRetry(() => {}),
    onCommitted() {},
    onCompacted() {},
    onNotCompacted() {},
    onSealed() {},
    ...archiveOptions,
  })(0)
}

/** Processes the records of a topic from the work's next offset on, in small batches. */
export async function feed(
  work: PartitionWork,
  topic: string,
  records: readonly ReadRecord[],
  batchSize = 3,
) {
  const { signal } = new AbortController()
  const next = work.nextOffsets.get(topic) ?? 0
  const left = records.filter(({ offset }) => offset >= next)
  for (let at = 0; at < left.length; at += batchSize) {
    await work.processRecords(topic, left.slice(at, at + batchSize), signal)
  }
}

/** A new archive of events; the work that archived the events has ended. */
export async function createArchiveOf(
  events: readonly SensorReading[],
  options: Omit<WorkOptions, 'dir'> = {},
  batchSize?: number,
) {
  const folder = createTemporaryDir()
  await using work = await openWork({ ...folder, ...options })
  await feed(work, TOPIC, recordsOf(events), batchSize)
  return folder
}

/** All files of an archive except its manifests, sorted. */
export function listFiles(dir: string): string[] {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true })
  return files
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(dir.length + 1))
    .filter(name => !name.startsWith('manifest'))
    .sort()
}

/** All files that the manifest of partition 0 names and that no compaction replaced, sorted. */
export function listCommittedFiles(dir: string): string[] {
  const names = new Set<string>()
  for (const { kind, files, replaced = [] } of readManifest(dir)) {
    if (kind !== 'commit' && kind !== 'compact') continue
    for (const name of replaced) names.delete(name)
    for (const { name } of files) names.add(name)
  }
  return [...names].sort()
}

/** The newest file of the manifest of partition 0. */
export const newestManifest = (dir: string): string => listManifests(dir).at(-1)!

function listManifests(dir: string): string[] {
  const folder = join(dir, 'manifest', 'partition=0')
  const days = readdirSync(folder).filter(name => name.endsWith('.jsonl'))
  return days.sort().map(day => join(folder, day))
}

/** The commit lines in the manifest of partition 0. */
export const readCommits = (dir: string) =>
  readManifest(dir).filter(({ kind }) => kind === 'commit')

/** All lines in the manifest of partition 0. */
export function readManifest(dir: string) {
  const text = listManifests(dir).map(file => readFileSync(file, 'utf8'))
  const lines = text.join('').trimEnd().split('\n')
  return lines.map(line => JSON.parse(line))
}

/** All events in an archive's files, by topic and offset. */
export async function readArchived(dir: string): Promise<ArchivedEvent[]> {
  const all: ArchivedEvent[] = []
  for (const name of listFiles(dir)) all.push(...(await readParquet(readFileSync(join(dir, name)))))
  const keyOf = ({ topic, offset }: ArchivedEvent) => `${topic} ${String(offset).padStart(9, '0')}`
  return all.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

/** Collects the dead letters that a work produces. */
export function createDeadLetterSink() {
  const letters: Effect[] = []
  const produceDeadLetters = async (produced: readonly Effect[]) => void letters.push(...produced)
  return { letters, produceDeadLetters }
}
