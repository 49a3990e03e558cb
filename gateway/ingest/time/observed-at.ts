import type { Route } from '../../../config/config.ts'
import type { ClockState, Measurement } from '../../../config/event/sensor-reading.ts'
import type { DecodeFault } from '../decoders/json.ts'
import { createLocalTime } from './local-time.ts'

export type TimeField = NonNullable<Route['time']>

/** When a message was received, by which clock. */
export type Receipt = { receivedAt: number; clock: ClockState }

/**
 * What is strange about a device's time. `too early` and `too late`: the time is kept as the device
 * sent it. `no offset` and `skipped`: the text is no moment, so the reading has no time of its own
 * and keeps the text as a measurement.
 */
export type TimeProblem = {
  kind: 'too early' | 'too late' | 'no offset' | 'skipped'
  /** The value that the device sent. */
  value: string
  /** What an operator can do. */
  cure: string
}

/** A device's own time in ms since 1970, null without one; the other measurements. */
export type TimedReading = {
  observedAt: number | null
  measurements: Measurement[]
  problem?: TimeProblem
}

/**
 * Converts a time to milliseconds. Divides by 1e6 and does not multiply by 1e-6, because only 1e6
 * is exact in a double.
 */
const toMs = {
  s: (value: number) => value * 1000,
  ms: (value: number) => value,
  us: (value: number) => value / 1e3,
  ns: (value: number) => value / 1e6,
}
type NumericUnit = keyof typeof toMs

/**
 * The time furthest from 1970, in ms, that the Avro codec encodes and decodes exactly: the year
 * 144,683.
 */
const FURTHEST_MS = 2 ** 52
/** Times before this are implausible: no sensor of a building is older. */
const EARLIEST_PLAUSIBLE_MS = Date.UTC(2000, 0, 1)
/** Times that are further than this after the receipt are implausible. */
const FUTURE_MAX_MS = 86_400_000
/** A unit is suggested when it puts a time this near to the receipt. */
const NEAR_MS = 30 * 86_400_000
const DECIMAL = /^-?\d+(\.\d+)?$/
const ISO =
  /^((?:\d{4}|[+-]\d{6})-\d\d-(\d\d))(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/i
const VALUE_MAX_LENGTH = 64

/**
 * Returns the function that moves a device's own time out of the measurements of a message. The
 * route names the field of the time, its unit, and the time zone of texts without an offset. The
 * time is null when the message lacks the field, and when the field is null or empty, as devices
 * send it until their clock is set. A field with any other value that is no time is a fault,
 * because a guess would change data.
 */
export function createTimeExtraction(time: TimeField | undefined) {
  const localTime = time?.zone === undefined ? null : createLocalTime(time.zone)

  return (measurements: Measurement[], receipt: Receipt): TimedReading | DecodeFault => {
    const index = time ? measurements.findIndex(({ metric }) => metric === time.field) : -1
    if (!time || index < 0) return { observedAt: null, measurements }
    const measurement = measurements[index]!
    const others = measurements.toSpliced(index, 1)
    if (isMissing(measurement)) return { observedAt: null, measurements: others }
    const found =
      time.unit === 'iso'
        ? isoMs(measurement, localTime, receipt)
        : unitMs(measurement, toMs[time.unit])
    if (typeof found === 'object') return { observedAt: null, measurements, problem: found }
    if (!(Math.abs(found) <= FURTHEST_MS)) {
      return { reason: `no time in unit ${time.unit}`, place: time.field }
    }
    const problem = implausibility(found, measurement, time, receipt)
    return { observedAt: found, measurements: others, ...(problem && { problem }) }
  }
}

const isMissing = ({ number, flag, text }: Measurement) =>
  number === null && flag === null && (text === null || text === '')

const sentText = ({ number, text }: Measurement) => `${number ?? text}`.slice(0, VALUE_MAX_LENGTH)

function unitMs({ number, text }: Measurement, convert: (value: number) => number): number {
  return Math.round(convert(number ?? (DECIMAL.test(text ?? '') ? Number(text) : Number.NaN)))
}

/**
 * Parses an ISO 8601 time to ms; NaN for any other text. Stricter than Date.parse, which reads
 * "hello 5" as a day in May and 30 February as 1 March, and which reads a text without an offset in
 * the time zone of this process.
 */
function isoMs(
  measurement: Measurement,
  localTime: ReturnType<typeof createLocalTime> | null,
  { receivedAt }: Receipt,
): number | TimeProblem {
  const { text } = measurement
  const [, date, day, time = '00:00', offset] = ISO.exec(text ?? '') ?? []
  if (date === undefined || new Date(date).getUTCDate() !== Number(day)) return Number.NaN
  if (offset) return Date.parse(text!)
  const wallMs = Date.parse(`${date}T${time}Z`)
  if (Number.isNaN(wallMs)) return Number.NaN
  const value = sentText(measurement)
  if (!localTime) {
    const cure = 'set time.zone of the route to the time zone of the device, such as Europe/Berlin'
    return { kind: 'no offset', value, cure }
  }
  const ms = localTime(wallMs, receivedAt)
  const cure = 'the time zone of the route skips this time: check time.zone and the device'
  return ms ?? { kind: 'skipped', value, cure }
}

/** Why a time cannot be right, with a cure; null for a plausible time. */
function implausibility(
  ms: number,
  measurement: Measurement,
  { unit }: TimeField,
  { receivedAt, clock }: Receipt,
): TimeProblem | null {
  const isEarly = ms < EARLIEST_PLAUSIBLE_MS
  // A gateway without a right clock cannot say what the future is.
  const isLate = clock !== 'UNSYNCED' && ms > receivedAt + FUTURE_MAX_MS
  if (!isEarly && !isLate) return null
  const units = Object.keys(toMs) as NumericUnit[]
  const fitting = units.find(
    other => other !== unit && Math.abs(unitMs(measurement, toMs[other]) - receivedAt) < NEAR_MS,
  )
  const cure = fitting ? `set time.unit of the route to ${fitting}` : 'set the clock of the device'
  return { kind: isEarly ? 'too early' : 'too late', value: sentText(measurement), cure }
}
