import { join } from 'node:path'
import { startBatchSize } from '../../../cloud-bridge/forward/batch-size.ts'
import { startForwarder } from '../../../cloud-bridge/forward/forwarder.ts'
import { noteSources, startNoteForwarder } from '../../../cloud-bridge/forward/note-forwarder.ts'
import { singleObject } from '../../../cloud-bridge/framing/framing.ts'
import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'
import { startCircuit } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { MustReopen } from '../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'

const TOPICS = {
  readings: 'readings',
  backfill: 'backfill',
  deadletters: 'deadletters',
  ledger: 'ledger',
}
const LIMITS = { batchMaxEvents: 200, batchMaxBytes: 100_000, lingerMs: 0 }
const PARTITIONS = 6

/** A note as the cloud gets it. */
export type ArrivedNote = {
  origin: 'outbox' | 'inbox'
  sequence: number
  kind: string
  content: Record<string, unknown>
}

/** What a bridge delivered: events as they arrived, by sequence, and notes. */
export type Delivered = {
  events: { sequence: number; value: Buffer }[]
  notes: ArrivedNote[]
  /** Why outbox or inbox were left before the end: they must be opened again. */
  damaged: string | null
  /** Whether the inbox had to be begun anew. */
  isInboxNew: boolean
}

/**
 * Delivers everything in the store of a directory with the bridge's own parts, into memory in place
 * of Kafka, as one run of the bridge does: until there is nothing more, or the outbox is damaged.
 */
export async function carryAll(dir: string): Promise<Delivered> {
  const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 1_000_000 })
  const source = openEventSource({ outboxFile: join(dir, 'outbox.db'), inbox })
  const all: Delivered = { events: [], notes: [], damaged: null, isInboxNew: !!inbox.healed }
  const accept = async ({ topic, records }: Batch) => {
    if (topic !== TOPICS.readings) {
      for (const { value } of records) all.notes.push(JSON.parse(value.toString()))
    }
    return records.map(() => null)
  }
  const common = {
    sink: { send: accept },
    signal: new AbortController().signal,
    circuit: startCircuit({ firstMs: 1, maxMs: 1, stableMs: 0 }),
    onUnavailable() {},
    onRejected() {},
  }
  const forwarder = startForwarder({
    frame: singleObject,
    ...common,
    source,
    size: startBatchSize(LIMITS),
    lingerMs: 0,
    onDelivered: ({ events }) => all.events.push(...events),
  })
  const forward = startNoteForwarder({
    ...common,
    topics: TOPICS,
    partitionsOf: async () => PARTITIONS,
    onGone: (notes, from) =>
      inbox.addNotes([{ kind: 'jump', content: { ...from, notes, reason: 'gone' } }]),
  })
  try {
    const store = source.look()
    if (store) source.begin(TOPICS.readings, PARTITIONS)
    while (store && (await forwarder.step()) !== 'nothing');
    for (const origin of store ? noteSources(store.id, source, inbox) : []) {
      while ((await forward(origin, store!.gateway)) > 0);
    }
    all.damaged = source.damaged
  } catch (error) {
    if (!(error instanceof MustReopen)) throw error
    all.damaged = error.message
  } finally {
    source.close()
  }
  try {
    inbox.close()
  } catch (error) {
    if (!(error instanceof MustReopen)) throw error
    all.damaged = error.message
  }
  return all
}
