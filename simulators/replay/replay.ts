import {
  type ConnectedDevices,
  connectDevices,
  type DeviceAddress,
  type DevicesOptions,
  type OutgoingMessage,
} from '../devices/devices.ts'
import { type MergedReading, mergeByTime } from './merge.ts'
import { openRecording, type Recording, type RecordingOptions } from './recording.ts'

type ConnectionSettings = Omit<DevicesOptions<DeviceAddress>, 'devices' | 'next' | 'ratePerSecond'>

export type ReplayOptions = ConnectionSettings & {
  /** CSV recordings (recording.ts); the name of a file is its zone and its device. */
  files: readonly string[]
  /** Recorded seconds a second: 1 is real time, 60 a minute a second, Infinity without waiting. */
  speed?: number
} & Pick<RecordingOptions, 'site' | 'timeColumn' | 'textColumns'>

/** Turns rows into messages, each scheduled by its distance in time from the first row. */
function rowsAsMessages(rows: AsyncIterator<MergedReading>, speed: number) {
  let firstMs: number | undefined
  return async (): Promise<OutgoingMessage<DeviceAddress> | null> => {
    const row = await rows.next()
    if (row.done) return null
    const { recording, reading, timeMs } = row.value
    if (Number.isFinite(timeMs)) firstMs ??= timeMs
    const notBeforeMs = firstMs === undefined ? 0 : Math.max(0, timeMs - firstMs) / speed
    return { device: recording.device, payload: reading.measurements, notBeforeMs }
  }
}

/** Throws for two files of the same name: they would be one device with two clocks. */
function checkNames(recordings: readonly Recording[]) {
  const seen = new Map<string, Recording>()
  for (const recording of recordings) {
    const { name } = recording.device
    const other = seen.get(name)
    if (other) {
      throw new Error(`${other.file} and ${recording.file} are both device ${name}: rename one`)
    }
    seen.set(name, recording)
  }
}

/**
 * Connects one device for each recording, ready to publish all rows merged by time. A payload is
 * one row: its time as written under its own name, its numbers unchanged, and the two fields of
 * every simulated message. `run` ends with the last row. Throws RecordingError for a fault in a
 * file, and RangeError for a wrong option.
 */
export async function connectReplay(options: ReplayOptions): Promise<ConnectedDevices> {
  const { files, speed = 1, site, timeColumn, textColumns, ...connecting } = options
  if (!(speed > 0)) throw new RangeError(`speed is ${speed}: give a number above 0, or Infinity`)
  if (files.length === 0) throw new RangeError('files is empty: give at least one CSV file')
  await using opening = new AsyncDisposableStack()
  const named = Object.entries({ site, timeColumn, textColumns }).filter(([, value]) => value)
  const recordings: Recording[] = []
  for (const file of files) {
    recordings.push(opening.use(await openRecording(file, Object.fromEntries(named))))
  }
  checkNames(recordings)
  const connected = opening.use(
    await connectDevices({
      ...connecting,
      devices: recordings.map(recording => recording.device),
      next: rowsAsMessages(mergeByTime(recordings), speed),
      ratePerSecond: Number.POSITIVE_INFINITY,
    }),
  )
  const owned = opening.move()
  return { ...connected, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
