import { createTally, type Tally } from './heavy-hitters.ts'

const MINUTE_MS = 60_000
/** How many minutes are looked back on, and in how many a zone must be over its share. */
const MINUTES = { seen: 10, hotFrom: 6, coolBelow: 3 }
/** A share is too low by at most 1/257 when there are more than 512 zones in a minute. */
const ZONES_KEPT = 256
const SHARE_MIN = 0.02
const EVENTS_PER_SECOND_MIN = 50
const BYTES_PER_SECOND_MIN = 50 * 1024

/** What a zone takes of all that Kafka got in the last minutes; shares are between 0 and 1. */
export type ZoneLoad = {
  zone: string
  partitions: number
  eventsShare: number
  bytesShare: number
  eventsPerSecond: number
}
/** `cure` says what to do. */
export type HotZone = ZoneLoad & { cure: string }

export type HotZonesOptions = {
  cureOf(taking: ZoneLoad): string
  onHot(zone: string, alarm: string): void
  onCool(zone: string): void
  /** Monotonic, in ms. */
  nowMs?: () => number
}

type Minute = { number: number; partitions: number; events: Tally; bytes: Tally }
type Delivered = {
  range: { partitions: number }
  events: readonly { zone: string; value: { length: number } }[]
}

export type HotZones = ReturnType<typeof createHotZones>

/**
 * The share of events or bytes beyond which one zone is too much for `partitions`: twice what an
 * even spread gives each, because then finer zones at least halve what the fullest has to take. So
 * with one or two none ever is. At least 2 %, because less of one gateway troubles no partition.
 */
export function shareMax(partitions: number): number {
  return Math.max(2 / partitions, SHARE_MIN)
}

/**
 * Finds the zones that alone take too much, from what is delivered: hot is one that in 6 of the
 * last 10 minutes had more than `shareMax` of the events and 50 a second, or of the bytes and 50 KB
 * a second; and no longer, when it was so in fewer than 3. Minutes are counted and not an average,
 * because a backlog that goes out in one minute would look hot in any average for long.
 */
export function createHotZones({ cureOf, onHot, onCool, ...rest }: HotZonesOptions) {
  const { nowMs: now = () => performance.now() } = rest
  const hot = new Map<string, HotZone>()
  let past: Minute[] = []
  let minute = emptyMinute(minuteAt(now()))

  const look = () => {
    const number = minuteAt(now())
    if (number === minute.number) return
    past = [...past, minute].filter(one => one.number >= number - MINUTES.seen)
    minute = emptyMinute(number)
    judge()
  }
  const judge = () => {
    const votes = new Map<string, number>()
    for (const zone of past.flatMap(zonesOver)) votes.set(zone, (votes.get(zone) ?? 0) + 1)
    for (const zone of hot.keys()) {
      if ((votes.get(zone) ?? 0) >= MINUTES.coolBelow) continue
      hot.delete(zone)
      onCool(zone)
    }
    for (const [zone, count] of votes) {
      const isNew = !hot.has(zone)
      if (isNew && count < MINUTES.hotFrom) continue
      const taking = takingOf(zone, past)
      const one = { ...taking, cure: cureOf(taking) }
      hot.set(zone, one)
      if (isNew) onHot(zone, alarmOf(one))
    }
  }
  const list = (): HotZone[] => {
    look()
    return [...hot.values()].sort((a, b) => largestShare(b) - largestShare(a))
  }
  return {
    /** Counts what Kafka has. */
    delivered({ range, events }: Delivered): void {
      look()
      minute.partitions = range.partitions
      const zones = new Map<string, { events: number; bytes: number }>()
      for (const { zone, value } of events) {
        const counted = zones.get(zone) ?? { events: 0, bytes: 0 }
        if (counted.events === 0) zones.set(zone, counted)
        counted.events++
        counted.bytes += value.length
      }
      for (const [zone, counted] of zones) {
        minute.events.add(zone, counted.events)
        minute.bytes.add(zone, counted.bytes)
      }
    },
    /** Lets time pass while nothing is delivered. */
    look,
    /** Those that are hot now, the one that takes most first. */
    list,
    /** What somebody should know of each, and what to do. */
    alarms: () => list().map(alarmOf),
  }
}

/** The larger of both shares. */
export function largestShare({ eventsShare, bytesShare }: ZoneLoad): number {
  return Math.max(eventsShare, bytesShare)
}

/** Its shares as a person reads them. */
export function sharesText({ eventsShare, bytesShare }: ZoneLoad): string {
  return `${percent(eventsShare)} of events and ${percent(bytesShare)} of bytes`
}

function alarmOf(zone: HotZone): string {
  const rate = `${Math.round(zone.eventsPerSecond)} events a second`
  const even = `${percent(1 / zone.partitions)} to each of ${zone.partitions} partitions`
  return `zone ${zone.zone} takes ${sharesText(zone)} (${rate}); even were ${even}. ${zone.cure}`
}

const percent = (share: number) =>
  `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`

const minuteAt = (ms: number) => Math.floor(ms / MINUTE_MS)

function emptyMinute(number: number): Minute {
  return { number, partitions: 1, events: createTally(ZONES_KEPT), bytes: createTally(ZONES_KEPT) }
}

function zonesOver({ partitions, events, bytes }: Minute): string[] {
  const over = ({ sums, total }: Tally, perSecondMin: number) => {
    const least = Math.max(total * shareMax(partitions), (perSecondMin * MINUTE_MS) / 1000)
    return [...sums].flatMap(([zone, sum]) => (sum > least ? zone : []))
  }
  const zones = [...over(events, EVENTS_PER_SECOND_MIN), ...over(bytes, BYTES_PER_SECOND_MIN)]
  return [...new Set(zones)]
}

function takingOf(zone: string, minutes: readonly Minute[]): ZoneLoad {
  const sum = (of: (minute: Minute) => number) => minutes.reduce((all, one) => all + of(one), 0)
  const events = sum(one => one.events.sums.get(zone) ?? 0)
  const bytes = sum(one => one.bytes.sums.get(zone) ?? 0)
  const [first, last] = [minutes[0]!, minutes.at(-1)!]
  return {
    zone,
    partitions: last.partitions,
    eventsShare: events / sum(one => one.events.total),
    bytesShare: bytes / sum(one => one.bytes.total),
    eventsPerSecond: (events * 1000) / ((last.number - first.number + 1) * MINUTE_MS),
  }
}
