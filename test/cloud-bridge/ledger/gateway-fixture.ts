import { type AssessmentOptions, assessGateways } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger, type LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote, type LedgerNote } from '../../../cloud-bridge/ledger/notes.ts'

/** When everything begins here; each event comes a second after the one before. */
export const START_MS = 1_800_000_000_000
export const STORE = 'aa'

type Facts = { store?: string; origin?: string; sequence?: number; at?: number; heardAt?: number }

/** A note as the bridge forwards it, read back; Kafka got it at `heardAt`, by default at once. */
export function note(kind: string, content: object, more: Facts = {}): LedgerNote {
  const { at = START_MS, heardAt = at, ...rest } = more
  const facts = { gateway: 'gw', store: STORE, origin: 'outbox', sequence: 1, at, ...rest }
  const read = decodeNote(Buffer.from(JSON.stringify({ ...facts, kind, content })), heardAt)
  if (!read) throw new Error(`not a note: ${kind} ${JSON.stringify(content)}`)
  return read
}

/** A gateway that numbers events and writes notes as the real one does. */
export function startGateway() {
  const events: LedgerEvent[] = []
  const notes: LedgerNote[] = []
  let heads = new Map<string, number>()
  let [epoch, sequence, noteSequence, atMs] = [0, 0, 0, START_MS]
  const add = (kind: string, content: object) => {
    const made = note(kind, content, { sequence: ++noteSequence, at: atMs })
    notes.push(made)
    return made
  }
  const zonesOf = () => [...heads]
  return {
    events,
    notes,
    get nowMs() {
      return atMs
    },
    /** Starts the gateway, again or for the first time. */
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
      const times = { receivedAt: atMs, heardAt: atMs }
      const made = { gateway: 'gw', epoch, sequence, zone, zoneSequence, ...times, partition: 0 }
      events.push(made)
      return made
    },
    /** The heartbeat. */
    beat: () => add('heads', { epoch, lastSequence: sequence, zones: zonesOf() }),
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

/** A ledger that was fed with these, in their order. */
export const ledgerOf = (arrivals: (LedgerEvent | LedgerNote)[]) => {
  const ledger = createLedger()
  for (const one of arrivals) 'kind' in one ? ledger.addNote(one) : ledger.addEvent(one)
  return ledger
}
/** What the ledger says right after the last of these, of the one gateway there is. */
export function told(
  arrivals: (LedgerEvent | LedgerNote)[],
  more: Partial<AssessmentOptions> = {},
) {
  const nowMs = Math.max(...arrivals.map(({ heardAt }) => heardAt))
  const options = { nowMs, silentAfterMs: 30_000, inFlightMaxEvents: 0, ...more }
  return assessGateways(ledgerOf(arrivals).gateways.values(), options)[0]!
}
/** A note that the bridge wrote. */
export const fromInbox = (kind: string, content: object) =>
  note(kind, { store: STORE, ...content }, { store: 'bb', origin: 'inbox' })

/** A gateway that was started and had these events, in order of their zones' letters. */
export function gatewayWith(zones: string) {
  const gateway = startGateway()
  gateway.start()
  for (const zone of zones) gateway.event(zone)
  return gateway
}
export const without = (all: LedgerEvent[], ...sequences: number[]) =>
  all.filter(({ sequence }) => !sequences.includes(sequence))
