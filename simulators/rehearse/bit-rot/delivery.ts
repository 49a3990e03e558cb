import { join } from 'node:path'
import { createBatchSize } from '../../../cloud-bridge/forward/batch-size.ts'
import { createForwarder } from '../../../cloud-bridge/forward/forwarder.ts'
import { createNoteForwarder, noteSources } from '../../../cloud-bridge/forward/note-forwarder.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { MustReopenError } from '../../../gateway/store/file/damage-mark.ts'
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

/** A note as the bridge sends it to the ledger topic. */
export type DeliveredNote = {
  origin: 'outbox' | 'inbox'
  sequence: number
  kind: string
  content: Record<string, unknown>
}

/** The events and notes that a bridge has delivered, in the order of delivery. */
export type DeliveredContent = {
  events: { sequence: number; value: Buffer }[]
  notes: DeliveredNote[]
  /**
   * Why the delivery ended early: the outbox or the inbox is damaged and must be reopened. Null
   * when the delivery ended normally.
   */
  damaged: string | null
  /** Whether the inbox was damaged and had to be rebuilt. */
  isInboxRebuilt: boolean
}

/**
 * Delivers everything in the store of a folder with the bridge's own code, to memory instead of
 * Kafka. Ends like a run of the bridge: when nothing is left, or when a file is damaged.
 */
export async function deliverStore(dir: string): Promise<DeliveredContent> {
  const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 1_000_000 })
  const source = openEventSource({ outboxFile: join(dir, 'outbox.db'), inbox })
  const delivered: DeliveredContent = {
    events: [],
    notes: [],
    damaged: null,
    isInboxRebuilt: !!inbox.recovery,
  }
  const accept = async ({ topic, records }: Batch) => {
    if (topic !== TOPICS.readings) {
      for (const { value } of records) delivered.notes.push(JSON.parse(value.toString()))
    }
    return records.map(() => null)
  }
  const common = {
    sink: { send: accept },
    signal: new AbortController().signal,
    circuit: createCircuitBreaker({ firstMs: 1, maxMs: 1, stableMs: 0 }),
    onUnavailable() {},
    onRejected() {},
  }
  const forwarder = createForwarder({
    framing: singleObjectFraming,
    ...common,
    source,
    size: createBatchSize(LIMITS),
    lingerMs: 0,
    onDelivered: ({ events }) => delivered.events.push(...events),
  })
  const forward = createNoteForwarder({
    ...common,
    topics: TOPICS,
    partitionsOf: async () => PARTITIONS,
    onMissing: (notes, from) =>
      inbox.addNotes([{ kind: 'jump', content: { ...from, notes, reason: 'gone' } }]),
  })
  try {
    const store = source.refresh()
    if (store) source.ensureLiveRange(TOPICS.readings, PARTITIONS)
    while (store && (await forwarder.step()) !== 'nothing');
    for (const origin of store ? noteSources(store.id, source, inbox) : []) {
      while ((await forward(origin, store!.gateway)) > 0);
    }
    delivered.damaged = source.damaged
  } catch (error) {
    if (!(error instanceof MustReopenError)) throw error
    delivered.damaged = error.message
  } finally {
    source.close()
  }
  try {
    inbox.close()
  } catch (error) {
    if (!(error instanceof MustReopenError)) throw error
    delivered.damaged = error.message
  }
  return delivered
}
