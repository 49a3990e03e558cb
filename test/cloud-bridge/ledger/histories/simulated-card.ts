import type { Reading, SimulatedNote } from './simulated-topics.ts'

type Range = { from: number; to: number }

/** What a restored image brings back: everything that the files of gateway and bridge contain. */
export type CardFiles = {
  outbox: {
    store: string
    gateway: string
    epoch: number
    /** The last zone sequence of each zone in the current epoch. */
    heads: Record<string, number>
    lastSequence: number
    lastNote: number
    /** The last sequence that a heartbeat named. */
    headsUpTo: number
    readings: Reading[]
    notes: SimulatedNote[]
  }
  inbox: {
    id: string
    next: number
    nextNote: number
    lastNote: number
    deferred: (Range & { note: number })[]
  }
  bell: { sequence: number; note: number }
}

/** A gateway on its card. */
export type Card = {
  files: CardFiles
  images: CardFiles[]
  /** `dead`: never speaks again. `off`: has no power, and keeps its files. */
  state: 'on' | 'off' | 'dead'
}

export const createCard = (store: string, gateway: string): Card => ({
  state: 'on',
  images: [],
  files: {
    outbox: {
      ...{ store, gateway, epoch: 0, heads: {}, lastSequence: 0, lastNote: 0, headsUpTo: 0 },
      ...{ readings: [], notes: [] },
    },
    inbox: { id: `inbox of ${store}`, next: 1, nextNote: 1, lastNote: 0, deferred: [] },
    bell: { sequence: 0, note: 0 },
  },
})

/** Adds a note of the gateway to the outbox. */
export function addOutboxNote(
  { files: { outbox, bell } }: Card,
  kind: string,
  content: Record<string, unknown>,
  { at, gateway = outbox.gateway }: { at: number; gateway?: string },
): SimulatedNote {
  const sequence = ++outbox.lastNote
  bell.note = Math.max(bell.note, sequence)
  const facts = { gateway, store: outbox.store, origin: 'outbox' as const, sequence }
  const note = { ...facts, run: outbox.epoch, kind, at, content }
  outbox.notes.push(note)
  return note
}

/** A note of the bridge, which is sent at once. */
export function inboxNote(
  { files: { outbox, inbox } }: Card,
  kind: string,
  content: Record<string, unknown>,
  at: number,
): SimulatedNote {
  const facts = { gateway: outbox.gateway, store: inbox.id, origin: 'inbox' as const }
  const sequence = ++inbox.lastNote
  const own = { store: outbox.store, ...content }
  return { ...facts, sequence, run: outbox.epoch, kind, at, content: own }
}

/**
 * Starts the gateway: a new epoch, whose first note names the end of the epoch before, and a `hole`
 * note when the bell or the inbox knows more than the outbox.
 */
export function startCard(card: Card, epoch: number, at: number, gateway?: string) {
  const { outbox, inbox, bell } = card.files
  const last = Math.max(outbox.lastSequence, bell.sequence, inbox.next - 1)
  const isFirst = outbox.epoch === 0
  const zones = Object.entries(outbox.heads)
  const previous = isFirst
    ? null
    : { epoch: outbox.epoch, lastSequence: outbox.lastSequence, zones }
  const stored = { sequence: outbox.lastSequence, note: outbox.lastNote, epoch: outbox.epoch }
  const before = outbox.gateway
  const isRenamed = gateway !== undefined && gateway !== before && !isFirst
  Object.assign(outbox, { epoch, heads: {}, gateway: gateway ?? before })
  if (isRenamed) addOutboxNote(card, 'heads', previous!, { at, gateway: before })
  const lastNote = Math.max(outbox.lastNote, bell.note, inbox.nextNote - 1)
  const notes = lastNote > stored.note && { from: stored.note + 1, to: lastNote }
  outbox.lastNote = lastNote
  const content = { epoch, firstSequence: last + 1, previous: isRenamed ? null : previous }
  addOutboxNote(card, 'epoch', content, { at })
  outbox.lastSequence = last
  outbox.headsUpTo = last
  bell.sequence = last
  const events = last > stored.sequence && { from: stored.sequence + 1, to: last }
  if (!events && !notes) return null
  const hole = { epoch: stored.epoch, ...events, ...(notes && { notes }), reason: 'seen elsewhere' }
  return addOutboxNote(card, 'hole', hole, { at })
}

/** Stores one reading in a zone, as acknowledged. */
export function acceptReading(
  { files: { outbox, bell } }: Card,
  zone: string,
  key: number,
  at: number,
) {
  const zoneSequence = (outbox.heads[zone] ?? 0) + 1
  outbox.heads[zone] = zoneSequence
  const sequence = ++outbox.lastSequence
  bell.sequence = sequence
  const { gateway, epoch } = outbox
  const reading: Reading = { key, gateway, epoch, sequence, zone, zoneSequence, receivedAt: at }
  outbox.readings.push(reading)
  return reading
}
