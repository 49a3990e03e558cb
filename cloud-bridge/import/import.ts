import { encodeEvent, type SensorReading } from '../../config/event/sensor-reading.ts'
import type { ExitCode } from '../../config/process/exit-codes.ts'
import { listPartitions } from '../consumers/archive/manifest/day-files.ts'
import { readArchivedEvents } from '../consumers/archive/replay.ts'
import type { Batch, Framing, KnownFate } from '../ports/event-sink.ts'
import { RecordingError } from '../recordings/cells.ts'
import { type ImportedEvent, importedEventOf } from './imported-event.ts'
import { type RowOptions, readRows } from './recorded-rows.ts'

const BATCH_EVENTS = 500
/** The gateway's name in events of recordings. */
export const IMPORT_GATEWAY = 'import'

/** Rows of recordings have faults, and nothing was sent. */
export class CannotImport extends Error {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
}

export type ImportOptions = RowOptions & {
  /** CSV recordings, Parquet files and archives (folders). */
  paths: readonly string[]
  /** Rows with faults are left out; otherwise nothing is sent when a row has a fault. */
  skipsFaults: boolean
  /** The number of this import; larger than those of earlier imports. */
  epoch: number
  topic: string
  /** The partition of a zone in the topic. */
  partitionOf(zone: string): number
  /** The ids of the events that are in the topic already. */
  known: Set<string>
  frame: Framing
  /** Sends a batch until the fate of each record is known; null when aborted before. */
  deliver(batch: Batch): Promise<KnownFate[] | null>
  onRejected(event: SensorReading, reason: string): void
  onProgress(counts: ImportCounts): void
}

/** What an import found and did. */
export type ImportCounts = {
  /** Rows and archived events that were read. */
  rows: number
  /** Rows that were left out because they have faults. */
  faulty: number
  /** Rows without any measurement. */
  empty: number
  /** Events that were in the topic before, and rows that repeat an earlier row. */
  known: number
  sent: number
  rejected: number
  /** The time of the first and the last event, in ms since 1970; null without an event. */
  fromMs: number | null
  toMs: number | null
}

const noCounts = (): ImportCounts => ({
  ...{ rows: 0, faulty: 0, empty: 0, known: 0, sent: 0, rejected: 0 },
  ...{ fromMs: null, toMs: null },
})

/** An event of an archive has its own numbers; an event of a recording gets them at sending. */
type FoundEvent = SensorReading | ImportedEvent

export type CheckOptions = RowOptions & Pick<ImportOptions, 'paths'>

/** Reads all recordings without sending anything, and counts rows and faults. */
export async function checkRecordings(options: CheckOptions): Promise<ImportCounts> {
  const counts = noCounts()
  for await (const _ of findEvents(options, counts));
  return counts
}

/**
 * Sends the events of recordings to a topic with the times of the recordings. An event that the
 * topic has already is not sent. Resolves with null when aborted; a second import then sends the
 * rest. Reads the recordings twice: rejects with CannotImport before the first event is sent when a
 * row has a fault and `skipsFaults` is not set.
 */
export async function importRecordings(options: ImportOptions): Promise<ImportCounts | null> {
  const { known, skipsFaults, onFault } = options
  if (!skipsFaults) {
    const { faulty, rows } = await checkRecordings(options)
    if (faulty > 0) {
      const cure = 'correct the rows, or leave them out with --skip-faulty'
      throw new CannotImport(`${faulty} of ${rows} rows have faults, nothing is sent: ${cure}`)
    }
  }
  const counts = noCounts()
  const number = createNumbering(options.epoch)
  let batch: SensorReading[] = []
  const send = async () => {
    const fates = batch.length === 0 ? [] : await sendEvents(options, batch)
    if (!fates) return false
    for (const [index, reason] of fates.entries()) {
      counts[reason === null ? 'sent' : 'rejected']++
      if (reason !== null) options.onRejected(batch[index]!, reason)
    }
    batch = []
    options.onProgress(counts)
    return true
  }
  const reported = { ...options, onFault: skipsFaults ? onFault : () => {} }
  for await (const event of findEvents(reported, counts)) {
    if (known.has(event.id)) {
      counts.known++
      continue
    }
    known.add(event.id)
    batch.push('gateway' in event ? event : number(event))
    if (batch.length === BATCH_EVENTS && !(await send())) return null
  }
  return (await send()) ? counts : null
}

async function* findEvents(
  options: CheckOptions,
  counts: ImportCounts,
): AsyncGenerator<FoundEvent> {
  for (const path of options.paths) {
    const isArchive = (await listPartitions(path)).length > 0
    const events = isArchive ? archivedEvents(path, counts) : recordedEvents(path, options, counts)
    for await (const event of events) {
      const timeMs = event.observedAt ?? event.receivedAt
      counts.fromMs = Math.min(counts.fromMs ?? timeMs, timeMs)
      counts.toMs = Math.max(counts.toMs ?? timeMs, timeMs)
      yield event
    }
  }
}

async function* archivedEvents(dir: string, counts: ImportCounts): AsyncGenerator<FoundEvent> {
  for await (const event of readArchivedEvents(dir)) {
    counts.rows++
    yield event
  }
}

async function* recordedEvents(
  file: string,
  options: CheckOptions,
  counts: ImportCounts,
): AsyncGenerator<FoundEvent> {
  const onFault = (fault: RecordingError) => {
    counts.rows++
    counts.faulty++
    options.onFault(fault)
  }
  for await (const row of readRows(file, { ...options, onFault })) {
    const event = importedEventOf(row, options.mapping)
    if (event && 'fault' in event) {
      const cure = 'fill the columns that the mapping names'
      onFault(new RecordingError(row.file, row.line, undefined, event.fault, cure))
      continue
    }
    counts.rows++
    if (event) yield event
    else counts.empty++
  }
}

/** Numbers the events of an import like a gateway with one epoch. */
function createNumbering(epoch: number) {
  const zones = new Map<string, number>()
  let sequence = 0
  return (event: ImportedEvent): SensorReading => {
    const zoneSequence = (zones.get(event.zone) ?? 0) + 1
    zones.set(event.zone, zoneSequence)
    sequence++
    return { ...event, gateway: IMPORT_GATEWAY, epoch, sequence, zoneSequence }
  }
}

async function sendEvents(
  { topic, frame, deliver, partitionOf }: ImportOptions,
  events: readonly SensorReading[],
): Promise<KnownFate[] | null> {
  const encoded = events.map(event => ({ zone: event.zone, value: encodeEvent(event) }))
  const { values, headers } = await frame(topic, encoded)
  const records = events.map(({ zone }, index) => ({
    ...{ key: Buffer.from(zone), partition: partitionOf(zone) },
    ...{ value: values[index]!, headers: headers[index]! },
  }))
  return deliver({ topic, records })
}
