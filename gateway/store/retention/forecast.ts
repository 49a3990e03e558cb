import type { Config } from '../../../config/config.ts'
import type { Backlog, OutboxSpace } from '../../../config/process/gateway-state.ts'
import type { createSpaceControl, DiskSpace } from '../file/disk-space.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import type { Deletion } from './delivered-pruning.ts'

type Bounds = Config['outbox']['bounds']
type Parts = {
  space: Pick<ReturnType<typeof createSpaceControl>, 'measure'>
  letGo: Pick<Deletion, 'keptBytes'>
  bounds: Bounds
  storedBytes(): number
}

/** Tells how much an outbox takes and when it will be full; to be asked every second or so. */
export function createSpaceReport({ space, letGo, bounds, storedBytes }: Parts) {
  const forecast = createForecast()
  return (backlog: Backlog, spans: SequenceRange[] | null): Omit<OutboxSpace, 'refuses'> => {
    const room = space.measure()
    const keptBytes = letGo.keptBytes(spans)
    const stored = { keptBytes, storedBytes: storedBytes(), waitingEvents: backlog.events }
    const left = headroomUntilFull(room, bounds, stored)
    const fullInMs = forecast(performance.now(), backlog, left)
    const { fileBytes, freeDiskBytes } = room
    const usedBytes = fileBytes - room.freeBytes
    return { fileBytes, usedBytes, keptBytes, freeDiskBytes, fullInMs }
  }
}

/** What can still be stored until a bound is reached, when everything goes that may go before. */
export type Headroom = { bytes: number; events: number }

const SAMPLE_EVERY_MS = 10_000
const WINDOW_MS = 300_000

/**
 * Tells when a bound will be reached if what waits goes on growing as in the last five minutes: in
 * ms, or null while it does not grow, or is not yet known for ten seconds.
 */
export function createForecast() {
  let samples: { atMs: number; waiting: Backlog }[] = []
  return (atMs: number, waiting: Backlog, left: Headroom): number | null => {
    samples = samples.filter(sample => atMs - sample.atMs <= WINDOW_MS)
    const [first, last] = [samples[0], samples.at(-1)]
    if (!last || atMs - last.atMs >= SAMPLE_EVERY_MS) samples.push({ atMs, waiting })
    if (!first || atMs - first.atMs < SAMPLE_EVERY_MS) return null
    const until = (left: number, now: number, before: number) =>
      now > before ? (Math.max(0, left) * (atMs - first.atMs)) / (now - before) : null
    const times = [
      until(left.bytes, waiting.bytes, first.waiting.bytes),
      until(left.events, waiting.events, first.waiting.events),
    ].filter(time => time !== null && Number.isFinite(time))
    return times.length > 0 ? Math.min(...(times as number[])) : null
  }
}

type Stored = { keptBytes: number; storedBytes: number; waitingEvents: number }

/** What is left for events, in bytes of their groups: a page holds fewer than it takes. */
export function headroomUntilFull(
  room: DiskSpace,
  bounds: Bounds,
  { keptBytes, storedBytes, waitingEvents }: Stored,
): Headroom {
  const usedBytes = room.fileBytes - room.freeBytes
  const perByte = Math.min(3, Math.max(1, usedBytes / Math.max(1, storedBytes)))
  const inFile = bounds.bytes - usedBytes
  const onDisk = room.freeDiskBytes + room.freeBytes - bounds.freeDiskBytes
  const bytes = Math.min(inFile, onDisk) / perByte + keptBytes
  const events = (bounds.events ?? Number.POSITIVE_INFINITY) - waitingEvents
  return { bytes, events }
}
