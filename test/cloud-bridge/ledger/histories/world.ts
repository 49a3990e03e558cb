import {
  acceptReading,
  addOutboxNote,
  type Card,
  createCard,
  inboxNote,
  startCard,
} from './simulated-card.ts'
import { createSimulatedTopics, type Reading, type SimulatedNote } from './simulated-topics.ts'

/**
 * What became of an acknowledged reading: whether Kafka ever stored the reading, and the notes that
 * name the reading's loss. A `shadow` shares its number with another reading.
 */
export type Fate = {
  reading: Reading
  store: string
  delivered: boolean
  named: SimulatedNote[]
  lostAtMs: number | null
}

export const START_MS = 1_800_000_000_000
export const BATCH_MAX = 4

/** A simulated world: cards with gateways, and Kafka's topics. The truth is in `fates`. */
export class World {
  readonly topics = createSimulatedTopics()
  readonly cards: Card[] = []
  readonly fates = new Map<number, Fate>()
  /** By run: the run from whose files the run started. */
  readonly parents = new Map<number, number>()
  /** By run: the first number that the run assigned. */
  readonly firsts = new Map<number, number>()
  /** Why a verdict other than complete is right, or cannot be excluded. */
  readonly flaws = new Set<string>()
  /** The runs in which two cards go on, because a machine was copied with its memory. */
  readonly sharedRuns = new Set<number>()
  /** By store: when an operator retired the store. */
  readonly retiredMs = new Map<string, number>()
  nowMs = START_MS
  #runs = 0
  #stores = 0

  addCard(gateway: string): Card {
    const card = createCard(`store${++this.#stores}`, gateway)
    this.cards.push(card)
    this.start(card)
    return card
  }

  start(card: Card, gateway?: string): void {
    const before = card.files.outbox.epoch
    const run = ++this.#runs
    if (before > 0) this.parents.set(run, before)
    const hole = startCard(card, run, this.nowMs, gateway)
    this.firsts.set(run, card.files.outbox.lastSequence + 1)
    if (!hole) return
    this.flaws.add('a hole')
    const { from = 1, to = 0 } = hole.content as { from?: number; to?: number }
    for (const { reading, named } of this.fates.values()) {
      const isNamed = reading.sequence >= from && reading.sequence <= to
      if (isNamed && this.isOfLineage(reading.epoch, before)) named.push(hole)
    }
  }

  /** Whether a run is `run` or one of its ancestors. */
  isOfLineage(searched: number, run: number): boolean {
    for (let at: number | undefined = run; at; at = this.parents.get(at)) {
      if (at === searched) return true
    }
    return false
  }

  /**
   * Whether a run knows a reading: the reading is of the run, or of an ancestor before the branch
   * of the run began. What a copied card accepts later is unknown to the other card.
   */
  knows(run: number, { epoch, sequence }: Reading): boolean {
    let next = Number.POSITIVE_INFINITY
    for (let at: number | undefined = run; at; at = this.parents.get(at)) {
      if (at === epoch) return sequence < next
      next = Math.min(next, this.firsts.get(at)!)
    }
    return false
  }

  /** Whether Kafka has a note that names the loss of a reading. */
  isNamed({ named }: Fate): boolean {
    return named.some(note => this.topics.hasNote(note))
  }

  /** Whether a card that is on descends from a run. */
  goesOn(run: number): boolean {
    return this.cards.some(
      ({ state, files }) => state === 'on' && this.isOfLineage(run, files.outbox.epoch),
    )
  }

  accept(card: Card, count: number, zone: string): void {
    for (let added = 0; added < count; added++) {
      const key = this.fates.size + 1
      const reading = acceptReading(card.files.outbox && card, zone, key, this.nowMs + added)
      const { store } = card.files.outbox
      this.fates.set(key, { reading, store, delivered: false, named: [], lostAtMs: null })
    }
  }

  /** The heartbeat, which a gateway writes only when it has new events. */
  beat(card: Card): void {
    const { outbox } = card.files
    const { epoch, lastSequence, heads } = outbox
    if (outbox.headsUpTo === lastSequence) return
    outbox.headsUpTo = lastSequence
    const content = { epoch, lastSequence, zones: Object.entries(heads) }
    addOutboxNote(card, 'heads', content, { at: this.nowMs })
  }

  sendNotes(card: Card): void {
    const { outbox, inbox } = card.files
    for (const note of outbox.notes) {
      if (note.sequence >= inbox.nextNote) this.topics.addNote(note, this.nowMs)
    }
    inbox.nextNote = Math.max(inbox.nextNote, outbox.lastNote + 1)
  }

  /** A note of the bridge; Kafka stores the note at once. */
  addInboxNote(card: Card, kind: string, content: Record<string, unknown>): SimulatedNote {
    const note = inboxNote(card, kind, content, this.nowMs)
    this.topics.addNote(note, this.nowMs)
    return note
  }

  /** Sends the next readings; numbers without a reading are named in a `jump` note. */
  send(card: Card, count: number): void {
    const { outbox, inbox } = card.files
    const waiting = outbox.readings
      .filter(({ sequence }) => sequence >= inbox.next)
      .sort((a, b) => a.sequence - b.sequence)
    for (const reading of waiting.slice(0, count)) {
      if (reading.sequence > inbox.next) this.jump(card, inbox.next, reading.sequence - 1)
      this.deliver(reading)
      inbox.next = reading.sequence + 1
    }
  }

  jump(card: Card, from: number, to: number): void {
    const note = this.addInboxNote(card, 'jump', { from, to, range: 1, reason: 'not there' })
    for (const { reading, named } of this.fates.values()) {
      const isIn = reading.sequence >= from && reading.sequence <= to
      if (isIn && this.knows(note.run!, reading)) named.push(note)
    }
  }

  deliver(reading: Reading, { isBacklog = false } = {}): void {
    this.topics.addReading(reading, this.nowMs, isBacklog)
    this.fates.get(reading.key)!.delivered = true
  }

  /** Sends a part of the readings later, as a backlog. */
  defer(card: Card): void {
    const { outbox, inbox } = card.files
    const [from, to] = [inbox.next, outbox.lastSequence]
    if (from > to) return
    const range = { from, to, why: 'backlog', topic: 'backfill', partitions: 2, zones: null }
    const note = this.addInboxNote(card, 'behind', range)
    inbox.deferred.push({ from, to, note: note.sequence })
    inbox.next = to + 1
  }

  backfill(card: Card): void {
    const { outbox, inbox } = card.files
    for (const { from, to, note } of inbox.deferred.splice(0)) {
      for (const reading of outbox.readings) {
        if (reading.sequence < from || reading.sequence > to) continue
        this.deliver(reading, { isBacklog: true })
      }
      this.addInboxNote(card, 'caught up', { from, to, why: 'backlog', behind: note })
    }
  }

  /** Damages the outbox: undelivered readings are gone, and the outbox does not know. */
  damage(card: Card, count: number): void {
    const { outbox, inbox } = card.files
    const waiting = outbox.readings.filter(({ sequence }) => sequence >= inbox.next)
    // The bridge notices the gap when it reads what follows.
    const gone = waiting.slice(0, Math.min(count, waiting.length - 1))
    if (gone.length > 0) this.flaws.add('a jump')
    outbox.readings = outbox.readings.filter(reading => !gone.includes(reading))
  }

  /** Drops undelivered readings of one epoch, with a tombstone. */
  drop(card: Card, count: number): void {
    const { outbox, inbox } = card.files
    const waiting = outbox.readings.filter(({ sequence }) => sequence >= inbox.next)
    const dropped = waiting.slice(0, count).filter(({ epoch }) => epoch === waiting[0]!.epoch)
    if (dropped.length === 0) return
    this.flaws.add('a tombstone')
    const byZone = Map.groupBy(dropped, ({ zone }) => zone)
    const note = addOutboxNote(
      card,
      'tombstone',
      {
        ...{ from: dropped[0]!.sequence, to: dropped.at(-1)!.sequence, reason: 'full' },
        ...{ epoch: dropped[0]!.epoch, count: dropped.length },
        zones: [...byZone].map(([zone, all]) => [zone, all[0]!.zoneSequence, all.length]),
      },
      { at: this.nowMs },
    )
    outbox.readings = outbox.readings.filter(reading => !dropped.includes(reading))
    for (const { key } of dropped) this.fates.get(key)!.named.push(note)
  }

  /**
   * Whether an operator retired the store of a reading after the reading was accepted. A run that
   * is not heard after the retirement is retired with everything that it accepts later.
   */
  isRetired({ store, reading }: Fate): boolean {
    const retiredMs = this.retiredMs.get(store)
    if (retiredMs === undefined) return false
    const { readings, backfill, notes } = this.topics
    const known = new Set<number>()
    const heard = [
      ...notes.records.map(({ value, appendTimeMs }) => ({ run: value.run, appendTimeMs })),
      ...[...readings, ...backfill]
        .flatMap(({ records }) => records)
        .sort((a, b) => a.appendTimeMs - b.appendTimeMs)
        // A duplicate can come from anywhere, and each gateway is judged by its own records.
        .filter(({ value: { key, gateway } }) => {
          const isFirst = !known.has(key)
          known.add(key)
          return isFirst && gateway === reading.gateway
        })
        .map(({ value, appendTimeMs }) => ({ run: value.epoch, appendTimeMs })),
    ]
    // Of copied cards, one can send what the other one's run descends from.
    const isCopied = this.cards.filter(({ files }) => files.outbox.store === store).length > 1
    const isHeardSince = heard.some(({ run = 0, appendTimeMs }) => {
      const isOwn = isCopied ? run === reading.epoch : this.isOfLineage(run, reading.epoch)
      return isOwn && appendTimeMs > retiredMs
    })
    return reading.receivedAt <= retiredMs || !isHeardSince
  }

  /** Whether a card that is not dead can still deliver a reading. */
  isOnCard({ key, sequence }: Reading): boolean {
    return this.cards.some(({ state, files: { outbox, inbox } }) => {
      if (state === 'dead' || !outbox.readings.some(stored => stored.key === key)) return false
      const isDeferred = inbox.deferred.some(({ from, to }) => sequence >= from && sequence <= to)
      return sequence >= inbox.next || isDeferred
    })
  }

  /** Whether a note in Kafka names a number of a run. */
  isClaimed(run: number, sequence: number): boolean {
    return this.topics.notes.records.some(({ value: { kind, content } }) => {
      const heads = (kind === 'epoch' ? content.previous : content) as typeof content | null
      return heads?.epoch === run && (heads.lastSequence as number) >= sequence
    })
  }

  /**
   * Whether Kafka has a reading of each zone. Without one, the ledger does not know the zone's
   * partition, and cannot say that Kafka has deleted the zone's readings.
   */
  showsEveryZone(): boolean {
    const shown = this.topics.readings.flatMap(({ records }) => records.map(({ value }) => value))
    const zones = new Set(shown.map(({ gateway, zone }) => `${gateway} ${zone}`))
    return [...this.fates.values()].every(({ reading }) =>
      zones.has(`${reading.gateway} ${reading.zone}`),
    )
  }

  /** Records since when each undelivered reading is on no card, and no card goes on in its run. */
  markLost(): void {
    for (const fate of this.fates.values()) {
      if (fate.delivered) continue
      const isLost = !this.isOnCard(fate.reading) && !this.goesOn(fate.reading.epoch)
      fate.lostAtMs = isLost ? (fate.lostAtMs ?? this.nowMs) : null
    }
  }
}
