import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { decodeEvent } from '../../../../../config/event/sensor-reading.ts'
import { type Outbox, openOutbox } from '../../../../../gateway/store/outbox.ts'
import { deliverStore } from '../../../../../simulators/rehearse/bit-rot/delivery.ts'
import { reading } from '../../../../gateway/store/fixture.ts'
import type { Card } from '../simulated-card.ts'
import type { SimulatedNote } from '../simulated-topics.ts'
import type { World } from '../world.ts'

/** A card whose files are a real outbox and inbox; `card` is its image in the simulated world. */
export class RealCard {
  readonly card: Card
  readonly #world: World
  readonly #parent: string
  readonly #dir: string
  readonly #images: string[] = []
  #outbox: Outbox | null = null

  /** `files`: the directory of another card, to copy. */
  constructor(world: World, parent: string, card: Card, files: string | null = null) {
    this.#world = world
    this.#parent = parent
    this.card = card
    this.#dir = mkdtempSync(join(parent, 'card-'))
    if (files) copyFiles(files, this.#dir)
    world.cards.push(card)
    this.start()
  }

  get dir(): string {
    return this.#dir
  }

  start(gateway = this.card.files.outbox.gateway): void {
    this.stop()
    const [file, inboxFile] = [join(this.#dir, 'outbox.db'), join(this.#dir, 'inbox.db')]
    const outbox = openOutbox({ file, gateway, inboxFile })
    this.#outbox = outbox
    const { files } = this.card
    if (files.outbox.epoch > 0) this.#world.parents.set(outbox.epoch, files.outbox.epoch)
    const { epoch, lastSequence } = outbox
    const store = outbox.store.toString('hex')
    Object.assign(files.outbox, { store, gateway, epoch, lastSequence, heads: {} })
  }

  stop(): void {
    this.#outbox?.close()
    this.#outbox = null
  }

  accept(count: number, zone: string): void {
    const { outbox } = this.card.files
    const receivedAt = Date.now()
    for (let added = 0; added < count; added++) {
      this.#outbox!.commit({ readings: [reading(zone, 0, { receivedAt })] })
      const key = this.#world.fates.size + 1
      const zoneSequence = (outbox.heads[zone] ?? 0) + 1
      outbox.heads[zone] = zoneSequence
      outbox.lastSequence = this.#outbox!.lastSequence
      const { gateway, epoch, lastSequence: sequence } = outbox
      // A heartbeat of the same millisecond can be older than the reading.
      const known = {
        key,
        gateway,
        epoch,
        sequence,
        zone,
        zoneSequence,
        receivedAt: receivedAt + 1,
      }
      outbox.readings.push(known)
      const fate = {
        reading: known,
        store: outbox.store,
        delivered: false,
        named: [],
        lostAtMs: null,
      }
      this.#world.fates.set(key, fate)
    }
  }

  beat(): void {
    this.#outbox!.writeZoneHeads()
  }

  /** Delivers everything with the bridge's own code; returns the values of events and notes. */
  async deliver() {
    const { events, notes } = await deliverStore(this.#dir)
    const { topics, fates, nowMs } = this.#world
    const { outbox, inbox } = this.card.files
    for (const { value } of events) {
      const { epoch, sequence } = decodeEvent(value)
      const own = outbox.readings.find(
        known => known.epoch === epoch && known.sequence === sequence,
      )
      if (!own) throw new Error(`event ${sequence} of run ${epoch} was never accepted`)
      topics.addReading(own, nowMs, false)
      fates.get(own.key)!.delivered = true
    }
    for (const note of notes as unknown as SimulatedNote[]) {
      topics.addNote(note, nowMs)
      this.#markNamed(note)
    }
    inbox.next = outbox.lastSequence + 1
    return { events: events.map(({ value }) => value), notes }
  }

  #markNamed(note: SimulatedNote): void {
    const { from, to } = note.content as { from?: number; to?: number }
    if (!['hole', 'jump', 'tombstone', 'quarantine'].includes(note.kind) || !from || !to) return
    for (const { reading: known, named } of this.#world.fates.values()) {
      const isIn = known.sequence >= from && known.sequence <= to
      if (isIn && this.#world.isOfLineage(known.epoch, note.run ?? 0)) named.push(note)
    }
  }

  takeImage(): void {
    const dir = mkdtempSync(join(this.#parent, 'image-'))
    copyFiles(this.#dir, dir)
    this.#images.push(dir)
    this.card.images.push(structuredClone(this.card.files))
  }

  /** Puts an image back: the complete card, or the outbox alone. The gateway then starts. */
  restore(index: number, what: 'card' | 'outbox'): void {
    const image = this.#images[index % this.#images.length]
    if (!image) return
    this.stop()
    const isRestored = (name: string) => (what === 'card' ? true : /^outbox\.db(-wal)?$/.test(name))
    for (const name of readdirSync(this.#dir)) {
      if (isRestored(name) || name.endsWith('-shm')) rmSync(join(this.#dir, name))
    }
    copyFiles(image, this.#dir, isRestored)
    const files = structuredClone(this.card.images[index % this.#images.length]!)
    this.card.files = what === 'card' ? files : { ...this.card.files, outbox: files.outbox }
    this.#world.flaws.add('an older image')
    this.start()
  }
}

/** Copies the files of a card; the locks stay. */
function copyFiles(from: string, to: string, isCopied = (_: string) => true): void {
  for (const name of readdirSync(from)) {
    if (/\.lock|-shm$/.test(name) || !isCopied(name)) continue
    cpSync(join(from, name), join(to, name))
  }
}
