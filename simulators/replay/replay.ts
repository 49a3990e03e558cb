import {
  openRecording,
  type Recording,
  type RecordingOptions,
} from '../../cloud-bridge/recordings/recording.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import {
  type ConnectedDevices,
  connectDevices,
  type DeviceAddress,
  type DevicesOptions,
  type OutgoingMessage,
  WrongOption,
} from '../devices/devices.ts'
import { type MergedReading, mergeByTime } from './merge.ts'

/** Fields of every simulated message (devices.ts). */
const reservedNames = ['simulated_run', 'simulated_number']

type ConnectionSettings = Omit<DevicesOptions<DeviceAddress>, 'devices' | 'next' | 'ratePerSecond'>

export type ReplayOptions = ConnectionSettings & {
  /** The paths of CSV recordings (recording.ts). The name of a file is its zone and its device. */
  files: readonly string[]
  /**
   * Recorded seconds a second: 1 is real time, 60 is a recorded minute a second, Infinity is no
   * waiting.
   */
  speed?: number
} & Pick<RecordingOptions, 'site' | 'timeColumn' | 'textColumns' | 'decimal'>

/** The file and line of a row. */
export type RowPlace = { file: string; line: number }

export type ConnectedReplay = ConnectedDevices & {
  /**
   * The first row that was not handed to its connection; null when all rows were. Ends the replay:
   * call the function after `run`, once.
   */
  findUnsent(): Promise<RowPlace | null>
}

/**
 * Turns rows into messages. Each message is scheduled by the time between the first row and its own
 * row.
 */
function rowsAsMessages(rows: AsyncIterator<MergedReading>, speed: number) {
  let firstMs: number | undefined
  let [count, last]: [number, RowPlace | null] = [0, null]
  const readRow = async () => {
    const row = await rows.next()
    if (row.done) return null
    const { recording, reading } = row.value
    last = { file: recording.file, line: reading.line }
    count++
    return row.value
  }
  return {
    async next(): Promise<OutgoingMessage<DeviceAddress> | null> {
      const row = await readRow()
      if (!row) return null
      const { recording, reading, timeMs } = row
      if (Number.isFinite(timeMs)) firstMs ??= timeMs
      const notBeforeMs = firstMs === undefined ? 0 : Math.max(0, timeMs - firstMs) / speed
      return { device: recording.device, payload: reading.measurements, notBeforeMs }
    },
    /** The place of the first row after `sentCount` rows; null when there is none. */
    async findRowAfter(sentCount: number): Promise<RowPlace | null> {
      if (count > sentCount) return last
      return (await readRow()) && last
    },
  }
}

/** Throws when two recordings have the same device: that device would have two clocks. */
function checkNames(recordings: readonly Recording[]) {
  const seen = new Map<string, Recording>()
  for (const recording of recordings) {
    const { name } = recording.device
    const other = seen.get(name)
    if (other) {
      throw new CannotStart(
        `${other.file} and ${recording.file} are both device ${name}: rename one`,
      )
    }
    seen.set(name, recording)
  }
}

/**
 * Connects one device for each recording. `run` of the result publishes the rows of all recordings
 * in order of time and ends after the last row. The payload of a row has its cells by column name,
 * the time as the file wrote it, and the fields `simulated_run` and `simulated_number`. Throws a
 * RecordingError for a fault in a file, and a RangeError for a wrong option.
 */
export async function connectReplay(options: ReplayOptions): Promise<ConnectedReplay> {
  const { files, speed = 1, site, timeColumn, textColumns, decimal, ...connecting } = options
  if (!(speed > 0)) throw new WrongOption(`speed is ${speed}: give a number above 0, or Infinity`)
  if (files.length === 0) throw new WrongOption('files is empty: give at least one CSV file')
  await using opening = new AsyncDisposableStack()
  const given = { site, timeColumn, textColumns, decimal, reservedNames }
  const named = Object.entries(given).filter(([, value]) => value)
  const recordings: Recording[] = []
  for (const file of files) {
    recordings.push(opening.use(await openRecording(file, Object.fromEntries(named))))
  }
  checkNames(recordings)
  const messages = rowsAsMessages(mergeByTime(recordings), speed)
  const connected = opening.use(
    await connectDevices({
      ...connecting,
      devices: recordings.map(recording => recording.device),
      next: messages.next,
      ratePerSecond: Number.POSITIVE_INFINITY,
    }),
  )
  const owned = opening.move()
  return {
    ...connected,
    findUnsent: () => messages.findRowAfter(connected.counters().scheduled),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
