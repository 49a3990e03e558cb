import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Reading } from '../../../config/event/sensor-reading.ts'
import { openInboxReader } from '../../../gateway/store/delivery/inbox-reader.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { type DeliveredContent, deliverStore } from './delivery.ts'

/** The files of a store. The numbers are weights: how many of 21 flips are in each file. */
export const FLIP_WEIGHTS = {
  ...{ outbox: 9, 'outbox-wal': 7, 'outbox-bell': 1 },
  ...{ inbox: 2, 'inbox-wal': 1, 'inbox-bell': 1 },
} as const
export type StoreFile = keyof typeof FLIP_WEIGHTS
const nameOf: Record<StoreFile, string> = {
  outbox: 'outbox.db',
  'outbox-wal': 'outbox.db-wal',
  'outbox-bell': 'outbox.db.bell',
  inbox: 'inbox.db',
  'inbox-wal': 'inbox.db-wal',
  'inbox-bell': 'inbox.db.bell',
}

export const storeFilePath = (dir: string, file: StoreFile) => join(dir, nameOf[file])

/** A store as a kill leaves it: partly in the database files, partly in their write-ahead logs. */
export type SampleStore = {
  dir: string
  delivered: DeliveredContent
  deliveredUpTo: number
  lastSequence: number
}

export const GATEWAY = 'gateway'
const COMMITS = 60
const DELIVERED_COMMITS = 15

/**
 * Writes a store into `dir`: commits of many sizes, dead letters and zone heads; the first events
 * are already delivered. `delivered` is everything that a bridge delivers from the undamaged store,
 * `deliveredUpTo` is the sequence of the last event that is already delivered, and `lastSequence`
 * is the sequence of the last event.
 */
export async function writeSampleStore(dir: string, random: () => number): Promise<SampleStore> {
  const [live, copy, sound] = ['live', 'original', 'sound'].map(name => join(dir, name))
  for (const folder of [live, copy, sound]) mkdirSync(folder!, { recursive: true })
  const file = join(live!, 'outbox.db')
  let outbox = openOutbox({ file, gateway: GATEWAY })
  const inboxFile = join(live!, 'inbox.db')
  // An open reader keeps the inbox from checkpointing its write-ahead log when the bridge ends.
  const inboxReader = openInboxReader(inboxFile)
  let [deliveredUpTo, number] = [0, 0]
  for (let commit = 0; commit < COMMITS; commit++) {
    const count = 1 + Math.floor(random() ** 3 * 120)
    const readings = Array.from({ length: count }, () => createReading(number++, random))
    const payload = Buffer.alloc(Math.floor(random() * 2000), commit)
    const deadLetter = { reason: 'not JSON', place: 'payload', topic: 'x', payload }
    const deadLetters = commit % 4 === 0 ? [{ at: 1_700_000_000_000 + commit, deadLetter }] : []
    outbox.commit({ readings, deadLetters })
    if (commit % 6 === 0) outbox.writeZoneHeads()
    if (commit === DELIVERED_COMMITS / 3 || commit === DELIVERED_COMMITS) {
      deliveredUpTo = outbox.lastSequence
      await deliverStore(live!)
      inboxReader(outbox.store)
    }
    // Closing moves all earlier commits into the database file; later commits stay in the log.
    if (commit === COMMITS / 2) {
      outbox.close()
      outbox = openOutbox({ file, gateway: GATEWAY })
    }
  }
  copyStoreFiles(live!, copy!)
  outbox.close()
  inboxReader.close()
  copyStoreFiles(copy!, sound!)
  const delivered = await deliverStore(sound!)
  return {
    dir: copy!,
    delivered,
    deliveredUpTo,
    lastSequence: delivered.events.at(-1)!.sequence,
  }
}

/** Copies the files of a store byte by byte. */
export function copyStoreFiles(from: string, to: string): void {
  for (const file of Object.keys(nameOf) as StoreFile[]) {
    if (existsSync(storeFilePath(from, file)))
      copyFileSync(storeFilePath(from, file), storeFilePath(to, file))
  }
}

/** Creates a reading of a random zone, with incompressible text. */
export function createReading(number: number, random: () => number): Reading {
  const zone = `floor${number % 3}/room${Math.floor(random() * 4)}`
  const text = Array.from({ length: 40 }, () => String.fromCharCode(33 + random() * 90)).join('')
  return {
    ...{ site: 'hq', zone, device: `${zone}/sensor`, observedAt: null, clock: 'SYNCED' },
    receivedAt: 1_700_000_000_000 + number,
    measurements: [{ metric: 'n', number, flag: null, text, unit: null }],
    source: { topic: `building/hq/zone/${zone}/sensor/s`, format: 'json' },
    traceparent: null,
  }
}
