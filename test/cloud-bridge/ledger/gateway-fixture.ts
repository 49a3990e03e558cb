import type { LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import { type LedgerNote, readNote } from '../../../cloud-bridge/ledger/notes.ts'

/** When everything begins here; each event comes a second after the one before. */
export const START_MS = 1_800_000_000_000
export const STORE = 'aa'

/** A note as the bridge forwards it, read back. */
export function note(kind: string, content: object, more: object = {}): LedgerNote {
  const facts = { gateway: 'gw', store: STORE, origin: 'outbox', sequence: 1, at: START_MS }
  const read = readNote(Buffer.from(JSON.stringify({ ...facts, kind, ...more, content })))
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
      const made = { gateway: 'gw', epoch, sequence, zone, zoneSequence, receivedAt: atMs }
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
