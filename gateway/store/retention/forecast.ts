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
  ): Omit<OutboxSpace, 'refuses' | 'acceptsAtFreeBytes'> => {
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
/** Fewer samples than these show ups and downs, not a growth. */
const SAMPLES_MIN = 4

/**
 * Returns a function that forecasts in how many ms a bound will be reached if the backlog grows as
 * in the last five minutes. The growth is a line through samples of every ten seconds (least
 * squares), so the forecast changes when a sample is added and counts down in between. The result
 * is null for the first half minute, and while the backlog does not grow or its growth is no more
 * than its ups and downs.
 */
export function createForecast() {
  let samples: Sample[] = []
  let fullAtMs: number | null = null
  return (atMs: number, backlog: Backlog, headroom: Headroom): number | null => {
    samples = samples.filter(sample => atMs - sample.atMs <= WINDOW_MS)
    const last = samples.at(-1)
    if (!last || atMs - last.atMs >= SAMPLE_EVERY_MS) {
      samples.push({ atMs, ...backlog })
      const times = (['bytes', 'events'] as const)
        .map(unit => Math.max(0, headroom[unit]) / growthPerMs(samples, unit))
        .filter(Number.isFinite)
      fullAtMs = times.length > 0 ? atMs + Math.min(...times) : null
    }
    if (headroom.bytes <= 0 || headroom.events <= 0) return fullAtMs === null ? null : 0
    return fullAtMs === null ? null : Math.max(0, fullAtMs - atMs)
  }
}

type Sample = { atMs: number } & Pick<Backlog, 'bytes' | 'events'>

/**
 * The slope of the line through the samples, in units a ms. 0 when the slope is not positive, or
 * when the rise of the line is within twice the deviation of the samples from the line.
 */
function growthPerMs(samples: readonly Sample[], unit: 'bytes' | 'events'): number {
  if (samples.length < SAMPLES_MIN) return 0
  const mean = (amountOf: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + amountOf(sample), 0) / samples.length
  const [time, amount] = [mean(({ atMs }) => atMs), mean(sample => sample[unit])]
  const slope =
    mean(sample => (sample.atMs - time) * (sample[unit] - amount)) /
    mean(({ atMs }) => (atMs - time) ** 2)
  const distance = (sample: Sample) => sample[unit] - amount - slope * (sample.atMs - time)
  const deviation = Math.sqrt(mean(sample => distance(sample) ** 2))
  const rise = slope * (samples.at(-1)!.atMs - samples[0]!.atMs)
  return rise > 2 * deviation && slope > 0 ? slope : 0
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
