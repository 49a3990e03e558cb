import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDependencyRetry } from '../../../../cloud-bridge/consumers/runtime/dependency-retry.ts'
import type { ArrivalCounts } from '../../../../cloud-bridge/consumers/runtime/handler.ts'
import {
  createKeyedHandling,
  type Handler,
} from '../../../../cloud-bridge/consumers/runtime/keyed-handler.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import {
  openStatefulWork,
  type StatefulWorkOptions,
} from '../../../../cloud-bridge/consumers/runtime/stateful-work.ts'
import { keyOf } from '../../../../cloud-bridge/consumers/state/row-keys.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import type {
  ConsumerState,
  PartitionState,
} from '../../../../cloud-bridge/consumers/state/state.ts'
import type { ReadRecord } from '../../../../cloud-bridge/ports/event-stream.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'
import { encodeEvent, type SensorReading } from '../../../../config/event/sensor-reading.ts'

export const [live, backfill, deadletters] = ['live', 'backfill', 'deadletters'] as const
export const never = new AbortController().signal

const event: SensorReading = {
  ...{ id: '', gateway: 'gw', epoch: 1, sequence: 1, zoneSequence: 1 },
  ...{ site: 'hq', zone: 'z', device: 'd', observedAt: null, receivedAt: 1000, clock: 'SYNCED' },
  measurements: [{ metric: 'n', number: 1, flag: null, text: null, unit: null }],
  ...{ source: { topic: 't', format: 'json' }, traceparent: null },
}

/** Events of one zone by their zone sequences. */
export const eventsOf = (numbers: readonly number[], more: Partial<SensorReading> = {}) =>
  numbers.map((zoneSequence): SensorReading => {
    return { ...event, id: `e-${zoneSequence}`, zoneSequence, ...more }
  })

/** Kafka records with the given events, from the offset `from` on. */
export const recordsOf = (events: readonly (SensorReading | Buffer)[], from = 0, headers = {}) =>
  events.map((event, at): ReadRecord => {
    const value = Buffer.isBuffer(event) ? event : encodeEvent(event)
    return { partition: 0, offset: from + at, appendTimeMs: 1000, key: null, value, headers }
  })

export const POISON = 'poison'

/**
 * Stores the numbers of each zone in the order of processing, and sends each number as an effect.
 */
export const listing: Handler<readonly number[]> = {
  name: 'listing',
  key({ zone, device }) {
    if (device === `${POISON} key`) throw new Error('no key')
    return device === 'ignored' ? null : zone
  },
  initial: [],
  handle(numbers, { event }) {
    const { zoneSequence: number, zone, device } = event
    if (device === POISON) throw new Error('cannot be processed')
    const value = device === `${POISON} value` ? { number: 1n } : { number }
    return { state: [...numbers, number], effects: [{ topic: 'out', key: zone, value }] }
  },
}

/** The numbers in a zone's state. */
export async function listedNumbers(
  state: Pick<PartitionState, 'get'>,
  zone = 'z',
): Promise<number[]> {
  const [value] = await state.get([keyOf('state', zone)])
  return value ? JSON.parse(value.toString()) : []
}

/** The listing consumer on partition 0 of a state; `add` processes records. */
export async function openListing(state: ConsumerState, more: Partial<StatefulWorkOptions> = {}) {
  const committed: ArrivalCounts[] = []
  const missing: number[] = []
  const reasons: (string | null)[] = []
  const work = await openStatefulWork({
    ...{ name: 'listing', state, partition: 0, deadLetterTopic: deadletters },
    decodeRecords: createRecordDecoder(createEventReader(null), [live, backfill]),
    onEnded: () => {},
    createHandling: async claimed => createKeyedHandling(listing, claimed),
    retryWhileUnavailable: createDependencyRetry(reason => reasons.push(reason)),
    onCommitted(counts, _, missingNow) {
      committed.push(counts)
      missing.push(missingNow)
    },
    ...more,
  })
  const add = (topic: string, records: readonly ReadRecord[], signal = never) =>
    work.processRecords(topic, records, signal)
  return { work, add, committed, missing, reasons }
}

/** States in a folder that is deleted afterwards. */
export function temporaryStates() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-runtime-'))
  const store = openSqliteStates(dir)
  return {
    dir,
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
