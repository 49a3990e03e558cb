import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { keyAfter, keyOf, keysWithPrefix, timeKeyPart } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import { eventTimeOf } from './event-time.ts'

/** The clock offsets that gateways reported later, for events without a trusted time. */
export type ClockOffsetSource = {
  /** The ms to add to `receivedAt`; null while the gateway has not reported the offset. */
  offsetOf(event: Pick<SensorReading, 'gateway' | 'epoch' | 'sequence'>): number | null
}

type PendingReading = { event: SensorReading; appendTimeMs: number }
type Poll = {
  counted: { event: SensorReading; time: number }[]
  pendingSince: ReadonlyMap<string, number> | null
}
/** A pending reading as its row stores it. */
type StoredReading = { event: SensorReading; heardAt: number }

/**
 * Kafka's append time confirms a gateway's time when the two differ by at most this number of ms.
 */
const CONFIRMED_WITHIN_MS = 5000
/** The largest number of pending readings that one poll reads. */
const POLL_MAX_ROWS = 5000
const POLL_EVERY_MS = 5000

/**
 * Unsynced readings: they stay pending in the state until their gateway's clock note gives the
 * clock offset, or until `waitMs` have passed.
 */
export class UnsyncedReadings {
  readonly #state: Pick<PartitionState, 'range'>
  readonly #clockOffsets: ClockOffsetSource
  readonly #waitMs: number
  readonly #changes = new Map<string, Buffer | null>()
  /**
   * For each epoch of each gateway, the sequence of the first event whose time Kafka's append time
   * confirmed.
   */
  readonly #confirmedFrom = new Map<string, number>()
  #mayHavePending = true
  /** The key at which the next poll continues; null: the next poll starts at the first key. */
  #nextKey: string | null = null
  #polledMs = Number.NEGATIVE_INFINITY
  /** For each gateway, the first append time of the pending readings since the first key. */
  #pendingSince = new Map<string, number>()

  constructor(
    state: Pick<PartitionState, 'range'>,
    clockOffsets: ClockOffsetSource,
    waitMs: number,
  ) {
    this.#state = state
    this.#clockOffsets = clockOffsets
    this.#waitMs = waitMs
  }

  /**
   * The ms to add to an event's time; null while unknown. Kafka's append time confirms the time of
   * an unsynced gateway when the two times differ by at most `CONFIRMED_WITHIN_MS`. The
   * confirmation is valid for all later events of the epoch. It is not valid for earlier events,
   * because the clock may have been set just before the confirmed event.
   */
  offsetOf(event: SensorReading, appendTimeMs: number): number | null {
    if (event.clock !== 'UNSYNCED') return 0
    const reported = this.#clockOffsets.offsetOf(event)
    if (reported !== null) return reported
    const epoch = `${event.epoch} ${event.gateway}`
    const confirmedFrom = this.#confirmedFrom.get(epoch) ?? Number.POSITIVE_INFINITY
    if (event.sequence >= confirmedFrom) return 0
    if (Math.abs(appendTimeMs - event.receivedAt) > CONFIRMED_WITHIN_MS) return null
    this.#confirmedFrom.set(epoch, event.sequence)
    return 0
  }

  /** The event time in ms since 1970; an Error when it is impossible, null while unknown. */
  timeOf(event: SensorReading, appendTimeMs: number): number | Error | null {
    const offsetMs = this.offsetOf(event, appendTimeMs)
    if (offsetMs === null) return null
    try {
      return eventTimeOf(event, offsetMs, appendTimeMs)
    } catch (error) {
      return error as Error
    }
  }

  add(event: SensorReading, appendTimeMs: number): void {
    const stored: StoredReading = { event, heardAt: appendTimeMs }
    this.#changes.set(rowKeyOf(event), Buffer.from(JSON.stringify(stored)))
    this.#notePending({ event, appendTimeMs })
    this.#mayHavePending = true
  }

  /**
   * Reads a part of the pending readings, and returns as `counted` those whose time is known now or
   * that waited for `waitMs`. Removes none of them. After a poll that read the last pending
   * reading, polls return nothing for `POLL_EVERY_MS`; that poll also returns the first append time
   * of the readings that stay pending, for each gateway.
   */
  async poll(nowMs: number): Promise<Poll> {
    if (!this.#mayHavePending || performance.now() - this.#polledMs < POLL_EVERY_MS) {
      return { counted: [], pendingSince: null }
    }
    const range = keysWithPrefix(ROW_KIND)
    const from = this.#nextKey ?? range.from
    const rows = await this.#state.range({ ...range, from, limit: POLL_MAX_ROWS })
    const counted: Poll['counted'] = []
    for (const reading of rows.map(pendingReadingIn)) {
      const { event, appendTimeMs } = reading
      const known = this.offsetOf(event, appendTimeMs)
      const offsetMs = known ?? (nowMs - appendTimeMs >= this.#waitMs ? 0 : null)
      if (offsetMs === null) this.#notePending(reading)
      else counted.push({ event, time: eventTimeOrAppendTime(event, offsetMs, appendTimeMs) })
    }
    if (rows.length === POLL_MAX_ROWS) {
      this.#nextKey = keyAfter(rows.at(-1)!.key)
      return { counted, pendingSince: null }
    }
    this.#mayHavePending = this.#nextKey !== null || rows.length > 0
    this.#polledMs = performance.now()
    this.#nextKey = null
    const pendingSince = this.#pendingSince
    this.#pendingSince = new Map()
    return { counted, pendingSince }
  }

  remove(event: SensorReading): void {
    this.#changes.set(rowKeyOf(event), null)
  }

  /** Returns all row changes since the last call, and forgets the changes. */
  drainChanges(): Map<string, Buffer | null> {
    const changes = new Map(this.#changes)
    this.#changes.clear()
    return changes
  }

  #notePending({ event: { gateway }, appendTimeMs }: PendingReading): void {
    const since = this.#pendingSince.get(gateway) ?? appendTimeMs
    this.#pendingSince.set(gateway, Math.min(since, appendTimeMs))
  }
}

function eventTimeOrAppendTime(
  event: SensorReading,
  offsetMs: number,
  appendTimeMs: number,
): number {
  try {
    return eventTimeOf(event, offsetMs, appendTimeMs)
  } catch {
    return appendTimeMs
  }
}

function pendingReadingIn({ value }: { value: Buffer }): PendingReading {
  const { event, heardAt } = JSON.parse(value.toString()) as StoredReading
  return { event, appendTimeMs: heardAt }
}

const ROW_KIND = 'held'
const rowKeyOf = ({ gateway, epoch, sequence }: SensorReading) =>
  keyOf(ROW_KIND, gateway, String(epoch), timeKeyPart(sequence))
