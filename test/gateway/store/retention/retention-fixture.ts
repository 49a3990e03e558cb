import { randomBytes } from 'node:crypto'
import { defaults } from '../../../../config/config.ts'
import type { ClockState } from '../../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { createGroupAges } from '../../../../gateway/store/retention/group-age.ts'
import { createRetention } from '../../../../gateway/store/retention/retention.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

type Settings = typeof defaults.outbox
export type RetentionSettings = {
  keep?: Partial<Settings['keep']>
  bounds?: Partial<Settings['bounds']>
  whenFull?: Settings['whenFull']
  lanes?: Settings['lanes']
  aheadEvents?: number
}

/** An outbox with its retention in a directory of its own; time passes only by `time`. */
export function openRetention(given: RetentionSettings = {}, directory = temporary()) {
  const file = directory.file('outbox.db')
  const settings = {
    ...{ ...defaults.outbox, file },
    keep: { ...defaults.outbox.keep, ...given.keep },
    bounds: { ...defaults.outbox.bounds, freeDiskBytes: 0, ...given.bounds },
    whenFull: given.whenFull ?? 'refuse',
    lanes: given.lanes ?? {},
  }
  const outbox = openOutbox({ file, gateway: 'gw' })
  const time = { passedMs: 0, wallMs: Date.now() }
  const ages = createGroupAges({
    ...outbox,
    monotonicMs: () => time.passedMs,
    wallMs: () => time.wallMs,
  })
  let isOpen = true
  const close = () => {
    if (isOpen) outbox.close()
    isOpen = false
  }
  const open = () => {
    try {
      return createRetention(outbox, settings, { ages, readAheadMaxEvents: given.aheadEvents })
    } catch (error) {
      close()
      throw error
    }
  }
  const retention = open()
  const update = (next: number | null, { nextNote = 1, clock = 'SYNCED' as ClockState } = {}) => {
    time.passedMs += 20_000
    const pendingRanges = next === null ? null : [{ next, end: null }]
    retention.update({ pendingRanges, replayFrom: null, nextNote }, clock)
  }
  return {
    ...{ directory, file, outbox, retention, update, time },
    /**
     * Commits `groups` groups of `events` events each. An event has about a kilobyte that does not
     * compress.
     */
    fill(groups: number, events = 1, receivedAt = time.wallMs): void {
      for (let group = 0; group < groups; group++) outbox.commit(randomReadings(events, receivedAt))
    },
    /**
     * Commits groups until one is refused, at most `maxGroups`; returns how many were accepted, and
     * the reason of the refusal.
     */
    fillUp(maxGroups: number): { accepted: number; reason: string | null } {
      for (let accepted = 0; accepted < maxGroups; accepted++) {
        const reason = retention.admit()
        if (reason !== null) return { accepted, reason }
        outbox.commit(randomReadings(1, time.wallMs))
      }
      return { accepted: maxGroups, reason: null }
    },
    /** Does retention steps until none is left; returns their number. */
    steps(): number {
      let steps = 0
      while (retention.step()) steps++
      return steps
    },
    sequences: () => readOutbox(file).events.map(({ sequence }) => sequence),
    tombstones: () =>
      readOutbox(file)
        .notes.filter(({ kind }) => kind === 'tombstone')
        .map(({ content }) => content as Record<string, unknown>),
    close,
    [Symbol.dispose](): void {
      close()
      directory[Symbol.dispose]()
    },
  }
}

/** Readings of about `bytes` bytes each, which do not compress. */
export function randomReadings(events: number, receivedAt: number, lane?: string, bytes = 768) {
  const device = () => randomBytes(bytes).toString('base64')
  const readings = Array.from({ length: events }, (_, n) => ({
    ...reading(n % 2 ? 'a' : 'b', n, { receivedAt, device: device() }),
    ...(lane && { lane }),
  }))
  return { readings, deadLetters: [] }
}
