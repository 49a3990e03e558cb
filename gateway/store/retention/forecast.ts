import type { Config } from '../../../config/config.ts'
import type { Backlog, OutboxSpace } from '../../../config/process/gateway-state.ts'
import type { createSpaceControl, DiskSpace } from '../file/disk-space.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import type { Deletion } from './delivered-pruning.ts'

type Bounds = Config['outbox']['bounds']
type Parts = {
  space: Pick<ReturnType<typeof createSpaceControl>, 'measure'>
  deletion: Pick<Deletion, 'keptBytes'>
  bounds: Bounds
  storedBytes(): number
}

/**
 * Returns a function that reports the space of an outbox and when the outbox will be full. The
 * function is to be called about once a second.
 */
export function createSpaceReport({ space, deletion, bounds, storedBytes }: Parts) {
  const forecast = createForecast()
  return (
    backlog: Backlog,
    pendingRanges: SequenceRange[] | null,
  ): Omit<OutboxSpace, 'refuses'> => {
    const disk = space.measure()
    const keptBytes = deletion.keptBytes(pendingRanges)
    const stored = { keptBytes, storedBytes: storedBytes(), waitingEvents: backlog.events }
    const headroom = headroomUntilFull(disk, bounds, stored)
    const fullInMs = forecast(performance.now(), backlog, headroom)
    const { fileBytes, freeDiskBytes } = disk
    const usedBytes = fileBytes - disk.freeBytes
    return { fileBytes, usedBytes, keptBytes, freeDiskBytes, fullInMs }
  }
}

/**
 * How many bytes and events can be stored until a bound is reached, if all delivered events are
 * deleted before.
 */
export type Headroom = { bytes: number; events: number }

const SAMPLE_EVERY_MS = 10_000
const WINDOW_MS = 300_000

/**
 * Returns a function that forecasts in how many ms a bound will be reached if the backlog grows as
 * in the last five minutes. The result is null while the backlog does not grow, and for the first
 * ten seconds.
 */
export function createForecast() {
  let samples: { atMs: number; backlog: Backlog }[] = []
  return (atMs: number, backlog: Backlog, headroom: Headroom): number | null => {
    samples = samples.filter(sample => atMs - sample.atMs <= WINDOW_MS)
    const [first, last] = [samples[0], samples.at(-1)]
    if (!last || atMs - last.atMs >= SAMPLE_EVERY_MS) samples.push({ atMs, backlog })
    if (!first || atMs - first.atMs < SAMPLE_EVERY_MS) return null
    const fullInMs = (room: number, now: number, before: number) =>
      now > before ? (Math.max(0, room) * (atMs - first.atMs)) / (now - before) : null
    const times = [
      fullInMs(headroom.bytes, backlog.bytes, first.backlog.bytes),
      fullInMs(headroom.events, backlog.events, first.backlog.events),
    ].filter(time => time !== null && Number.isFinite(time))
    return times.length > 0 ? Math.min(...(times as number[])) : null
  }
}

type StoredAmounts = { keptBytes: number; storedBytes: number; waitingEvents: number }

/**
 * Computes the headroom in bytes of groups. The database file needs more bytes than its groups
 * have, so bytes of the file are divided by the ratio of the present file (limited to between 1 and
 * 3).
 */
export function headroomUntilFull(
  disk: DiskSpace,
  bounds: Bounds,
  { keptBytes, storedBytes, waitingEvents }: StoredAmounts,
): Headroom {
  const usedBytes = disk.fileBytes - disk.freeBytes
  const fileBytesPerByte = Math.min(3, Math.max(1, usedBytes / Math.max(1, storedBytes)))
  const inFile = bounds.bytes - usedBytes
  const onDisk = disk.freeDiskBytes + disk.freeBytes - bounds.freeDiskBytes
  const bytes = Math.min(inFile, onDisk) / fileBytesPerByte + keptBytes
  const events = (bounds.events ?? Number.POSITIVE_INFINITY) - waitingEvents
  return { bytes, events }
}
