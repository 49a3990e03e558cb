import { randomBytes } from 'node:crypto'
import { defaults } from '../../../../config/config.ts'
import type { ClockState } from '../../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { createGroupAges } from '../../../../gateway/store/retention/group-age.ts'
import { createRetention } from '../../../../gateway/store/retention/retention.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

type Settings = typeof defaults.outbox
export type More = {
  keep?: Partial<Settings['keep']>
  bounds?: Partial<Settings['bounds']>
  whenFull?: Settings['whenFull']
  lanes?: Settings['lanes']
  aheadEvents?: number
}

/** An outbox with its retention, in a place of its own; time passes only when told. */
export function startKeeping(more: More = {}, at = temporary()) {
  const file = at.file('outbox.db')
  const settings = {
    ...{ ...defaults.outbox, file },
    keep: { ...defaults.outbox.keep, ...more.keep },
    bounds: { ...defaults.outbox.bounds, freeDiskBytes: 0, ...more.bounds },
    whenFull: more.whenFull ?? 'refuse',
    lanes: more.lanes ?? {},
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
      return createRetention(outbox, settings, { ages, readAheadMaxEvents: more.aheadEvents })
    } catch (error) {
      close()
      throw error
    }
  }
  const retention = open()
  const see = (next: number | null, { nextNote = 1, clock = 'SYNCED' as ClockState } = {}) => {
    time.passedMs += 20_000
    const spans = next === null ? null : [{ next, end: null }]
    retention.update({ pendingRanges: spans, replayFrom: null, nextNote }, clock)
  }
  return {
    ...{ place: at, file, outbox, retention, see, time },
    /** Commits groups of so many events each, which do not compress, about a kilobyte an event. */
    fill(groups: number, events = 1, receivedAt = time.wallMs): void {
      for (let group = 0; group < groups; group++) outbox.commit(someReadings(events, receivedAt))
    },
    /** Commits until one is refused, at most so many; gives how many were accepted, and why not. */
    fillUp(mostGroups: number): { accepted: number; reason: string | null } {
      for (let accepted = 0; accepted < mostGroups; accepted++) {
        const reason = retention.admit()
        if (reason !== null) return { accepted, reason }
        outbox.commit(someReadings(1, time.wallMs))
      }
      return { accepted: mostGroups, reason: null }
    },
    /** Makes steps until there is none left; gives how many. */
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
      at[Symbol.dispose]()
    },
  }
}

/** Readings that do not compress, each of about so many bytes. */
export function someReadings(events: number, receivedAt: number, lane?: string, bytes = 768) {
  const device = () => randomBytes(bytes).toString('base64')
  const readings = Array.from({ length: events }, (_, n) => ({
    ...reading(n % 2 ? 'a' : 'b', n, { receivedAt, device: device() }),
    ...(lane && { lane }),
  }))
  return { readings, deadLetters: [] }
}
