import { createTally, type Tally } from './heavy-hitters.ts'

const MINUTE_MS = 60_000
/**
 * How many past minutes count; in how many of them a zone must exceed its share to become hot; in
 * fewer than how many it stops being hot.
 */
const MINUTES = { kept: 10, hotFrom: 6, coolBelow: 3 }
/**
 * How many zones are counted in a minute. With more than 512 zones in a minute, a share is too low
 * by at most 1/257.
 */
const ZONES_KEPT = 256
const SHARE_MIN = 0.02
const EVENTS_PER_SECOND_MIN = 50
const BYTES_PER_SECOND_MIN = 50 * 1024

/**
 * A zone's share of the events and bytes that were delivered in the last ten minutes; between 0 and
 * 1.
 */
export type ZoneLoad = {
  zone: string
  partitions: number
  eventsShare: number
  bytesShare: number
  eventsPerSecond: number
}
/** A zone with too much load; `cure` says what the operator can do. */
export type HotZone = ZoneLoad & { cure: string }

export type HotZonesOptions = {
  cureOf(load: ZoneLoad): string
  onHot(zone: string, alarm: string): void
  onCool(zone: string): void
  /** A monotonic clock, in ms. */
  nowMs?: () => number
}

type Minute = { number: number; partitions: number; events: Tally; bytes: Tally }
type DeliveredBatch = {
  range: { partitions: number }
  events: readonly { zone: string; value: { length: number } }[]
}

export type HotZones = ReturnType<typeof createHotZones>

/**
 * The share of events or bytes beyond which one zone is too much for `partitions`: twice the even
 * share, because then finer zones at least halve the load of the fullest partition. So with one or
 * two partitions no zone is hot. At least 2 %, because a smaller share of one gateway overloads no
 * partition.
 */
export function shareMax(partitions: number): number {
  return Math.max(2 / partitions, SHARE_MIN)
}

/**
 * Finds hot zones from the delivered events. A zone is hot when in 6 of the last 10 minutes the
 * zone had more than `shareMax` of the events and 50 a second, or of the bytes and 50 KB a second;
 * and stops being hot when this was true in fewer than 3 of the last 10 minutes. Minutes are
 * counted, not averaged, because a backlog that is delivered in one minute would dominate any
 * average for long.
 */
export function createHotZones({ cureOf, onHot, onCool, ...rest }: HotZonesOptions) {
  const { nowMs = () => performance.now() } = rest
  const hotZones = new Map<string, HotZone>()
  let past: Minute[] = []
  let minute = emptyMinute(minuteAt(nowMs()))

  const tick = () => {
    const number = minuteAt(nowMs())
    if (number === minute.number) return
    past = [...past, minute].filter(old => old.number >= number - MINUTES.kept)
    minute = emptyMinute(number)
    evaluate()
  }
  const evaluate = () => {
    const minutesOver = new Map<string, number>()
    for (const zone of past.flatMap(zonesOver)) {
      minutesOver.set(zone, (minutesOver.get(zone) ?? 0) + 1)
    }
    for (const zone of hotZones.keys()) {
      if ((minutesOver.get(zone) ?? 0) >= MINUTES.coolBelow) continue
      hotZones.delete(zone)
      onCool(zone)
    }
    for (const [zone, count] of minutesOver) {
      const isNew = !hotZones.has(zone)
      if (isNew && count < MINUTES.hotFrom) continue
      const load = loadOf(zone, past)
      const hotZone = { ...load, cure: cureOf(load) }
      hotZones.set(zone, hotZone)
      if (isNew) onHot(zone, alarmOf(hotZone))
    }
  }
  const list = (): HotZone[] => {
    tick()
    return [...hotZones.values()].sort((a, b) => largestShare(b) - largestShare(a))
  }
  return {
    /** Counts delivered events. */
    delivered({ range, events }: DeliveredBatch): void {
      tick()
      minute.partitions = range.partitions
      const zones = new Map<string, { events: number; bytes: number }>()
      for (const { zone, value } of events) {
        const counts = zones.get(zone) ?? { events: 0, bytes: 0 }
        if (counts.events === 0) zones.set(zone, counts)
        counts.events++
        counts.bytes += value.length
      }
      for (const [zone, counts] of zones) {
        minute.events.add(zone, counts.events)
        minute.bytes.add(zone, counts.bytes)
      }
    },
    /** Advances the minutes while no events are delivered. */
    tick,
    /** The zones that are hot now, the largest share first. */
    list,
    /** One alarm for each hot zone, with the cure. */
    alarms: () => list().map(alarmOf),
  }
}

/** The larger of both shares. */
export function largestShare({ eventsShare, bytesShare }: ZoneLoad): number {
  return Math.max(eventsShare, bytesShare)
}

/** Both shares as text. */
export function sharesText({ eventsShare, bytesShare }: ZoneLoad): string {
  return `${percent(eventsShare)} of events and ${percent(bytesShare)} of bytes`
}

function alarmOf(zone: HotZone): string {
  const rate = `${Math.round(zone.eventsPerSecond)} events a second`
  const evenShare = `${percent(1 / zone.partitions)} for each of ${zone.partitions} partitions`
  const load = `${sharesText(zone)} (${rate}; an even share is ${evenShare})`
  return `zone ${zone.zone} has ${load}. ${zone.cure}`
}

const percent = (share: number) =>
  `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`

const minuteAt = (ms: number) => Math.floor(ms / MINUTE_MS)

function emptyMinute(number: number): Minute {
  return { number, partitions: 1, events: createTally(ZONES_KEPT), bytes: createTally(ZONES_KEPT) }
}

function zonesOver({ partitions, events, bytes }: Minute): string[] {
  const over = ({ sums, total }: Tally, perSecondMin: number) => {
    const limit = Math.max(total * shareMax(partitions), (perSecondMin * MINUTE_MS) / 1000)
    return [...sums].flatMap(([zone, sum]) => (sum > limit ? zone : []))
  }
  const zones = [...over(events, EVENTS_PER_SECOND_MIN), ...over(bytes, BYTES_PER_SECOND_MIN)]
  return [...new Set(zones)]
}

function loadOf(zone: string, minutes: readonly Minute[]): ZoneLoad {
  const sum = (of: (minute: Minute) => number) =>
    minutes.reduce((total, minute) => total + of(minute), 0)
  const events = sum(minute => minute.events.sums.get(zone) ?? 0)
  const bytes = sum(minute => minute.bytes.sums.get(zone) ?? 0)
  const [first, last] = [minutes[0]!, minutes.at(-1)!]
  return {
    zone,
    partitions: last.partitions,
    eventsShare: events / sum(minute => minute.events.total),
    bytesShare: bytes / sum(minute => minute.bytes.total),
    eventsPerSecond: (events * 1000) / ((last.number - first.number + 1) * MINUTE_MS),
  }
}
