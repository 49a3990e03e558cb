import { type AssessmentOptions, assessGateways } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger, type LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote, type LedgerNote } from '../../../cloud-bridge/ledger/notes/notes.ts'

/** The start of every test; each event is a second after the one before. */
export const START_MS = 1_800_000_000_000
export const STORE = 'aa'

type Facts = {
  store?: string
  /** The run that wrote the note; undefined: the note is of an earlier version. */
  run?: number
  origin?: string
  sequence?: number
  at?: number
  appendTimeMs?: number
}

/**
 * A decoded note, in the form in which the bridge forwards notes. Kafka stores the note at
 * `appendTimeMs`, by default at `at`.
 */
export function note(kind: string, content: object, more: Facts = {}): LedgerNote {
  const { at = START_MS, appendTimeMs = at, ...rest } = more
  const facts = { gateway: 'gw', store: STORE, origin: 'outbox', sequence: 1, at, ...rest }
  const read = decodeNote(Buffer.from(JSON.stringify({ ...facts, kind, content })), appendTimeMs)
  if (!read)
    throw new Error(`decodeNote rejects this test note: ${kind} ${JSON.stringify(content)}`)
  return read
}

/** A gateway that numbers events and writes notes as the real one does. */
export function createTestGateway() {
  const events: LedgerEvent[] = []
  const notes: LedgerNote[] = []
  let heads = new Map<string, number>()
  let [epoch, sequence, noteSequence, atMs] = [0, 0, 0, START_MS]
  const add = (kind: string, content: object) => {
    const added = note(kind, content, { sequence: ++noteSequence, at: atMs })
    notes.push(added)
    return added
  }
  const zonesOf = () => [...heads]
  return {
    events,
    notes,
    get nowMs() {
      return atMs
    },
    /** Starts or restarts the gateway. */
    start(): LedgerNote {
      const previous = epoch === 0 ? null : { epoch, lastSequence: sequence, zones: zonesOf() }
      epoch++
      heads = new Map()
      return add('epoch', { gateway: 'gw', epoch, firstSequence: sequence + 1, previous })
    },
    event(zone: string): LedgerEvent {
      atMs += 1000
      sequence++
      heads.set(zone, (heads.get(zone) ?? 0) + 1)
      const zoneSequence = heads.get(zone)!
      const times = { receivedAt: atMs, appendTimeMs: atMs }
      const added = { gateway: 'gw', epoch, sequence, zone, zoneSequence, ...times, partition: 0 }
      events.push(added)
      return added
    },
    heartbeat: () => add('heads', { epoch, lastSequence: sequence, zones: zonesOf() }),
  }
}

/** The zones of some events, as the header of their group names them. */
export function zonesOf(events: LedgerEvent[]): { zone: string; first: number; count: number }[] {
  const byZone = Map.groupBy(events, ({ zone }) => zone)
  return [...byZone].map(([zone, all]) => ({
    zone,
    first: all[0]!.zoneSequence,
    count: all.length,
  }))
}

/** A ledger with these events and notes, added in their order. */
export const ledgerOf = (arrivals: (LedgerEvent | LedgerNote)[]) => {
  const ledger = createLedger()
  for (const arrival of arrivals) {
    'kind' in arrival ? ledger.addNote(arrival) : ledger.addEvent(arrival)
  }
  return ledger
}
/** The assessment of the only gateway, at the moment of the last event or note. */
export function assess(
  arrivals: (LedgerEvent | LedgerNote)[],
  more: Partial<AssessmentOptions> = {},
) {
  const nowMs = Math.max(...arrivals.map(({ appendTimeMs }) => appendTimeMs))
  const options = { nowMs, silentAfterMs: 30_000, inFlightMaxEvents: 0, ...more }
  return assessGateways(ledgerOf(arrivals).gateways.values(), options)[0]!
}
/** A note of the bridge. */
export const inboxNote = (kind: string, content: object) =>
  note(kind, { store: STORE, ...content }, { store: 'bb', origin: 'inbox' })

/** A started gateway with one event for each letter, which is its zone. */
export function gatewayWith(zones: string) {
  const gateway = createTestGateway()
  gateway.start()
  for (const zone of zones) gateway.event(zone)
  return gateway
}
export const without = (all: LedgerEvent[], ...sequences: number[]) =>
  all.filter(({ sequence }) => !sequences.includes(sequence))
