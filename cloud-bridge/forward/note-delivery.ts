import { retryUntilAnswered } from './answer-wait.ts'
import type { DeliveryContext } from './delivery-context.ts'
import { unlessDiskIsFull } from './full-disk.ts'
import { createNoteForwarder, noteSources } from './note-forwarder.ts'
import type { Poke } from './poke.ts'

const POLL_EVERY_MS = 1000
const POLL_WITH_NOTES_EVERY_MS = 100

/**
 * Delivers the notes of outbox and inbox until `signal` aborts. Polls every second, because notes
 * are few; every 100 ms while there are notes, and at once after a poke.
 */
export async function deliverNotes(context: DeliveryContext, poke: Poke): Promise<void> {
  const { config, source, inbox, metrics, rejections, flows, signal } = context
  const flow = flows.add('notes')
  const { circuit, setWaiting: onUnavailable } = flow
  await using sink = context.openSink()
  const knownCounts = new Map<string, number>()
  const partitionsOf = async (topic: string) => {
    const ask = () => context.partitionsOf(topic)
    const count =
      knownCounts.get(topic) ??
      (await retryUntilAnswered(ask, topic, { circuit, signal, onUnavailable }))
    if (count !== null) knownCounts.set(topic, count)
    return count
  }
  const forward = createNoteForwarder({
    topics: config.kafka.topics,
    ...{ partitionsOf, sink, signal, circuit, onUnavailable },
    onRejected: ({ sequence, kind, run }, reason, { store, origin, topic }) => {
      metrics.rejected()
      rejections.add({ topic, kind: 'note', reason })
      // A note about this note would be as large, so Kafka would reject notes without end. The
      // number that Kafka lacks tells the ledger of the lost note.
      if (kind === 'rejected note') return
      const noteRun = run === undefined ? {} : { noteRun: run }
      const content = { store, origin, sequence, kind, reason, ...noteRun }
      inbox.addNotes([{ kind: 'rejected note', content }])
    },
    onMissing: (notes, { store, origin }) => {
      const content = { store, origin, notes, reason: 'no longer there' }
      inbox.addNotes([{ kind: 'jump', content }])
    },
  })
  while (!signal.aborted) {
    const store = source.store
    let waitMs = POLL_EVERY_MS
    for (const noteSource of store ? noteSources(store.id, source, inbox) : []) {
      const work = () => forward(noteSource, store!.gateway)
      let delivered = await unlessDiskIsFull(work, 0, onUnavailable)
      // Live events may wait for the notes of the inbox: no pause before all are delivered.
      if (noteSource.origin === 'inbox') {
        for (let more = delivered; more > 0 && !signal.aborted; ) {
          more = await unlessDiskIsFull(work, 0, onUnavailable)
          delivered += more
        }
      }
      metrics.notesDelivered(delivered)
      if (delivered === 0) continue
      flow.setRunning()
      waitMs = POLL_WITH_NOTES_EVERY_MS
    }
    await poke.wait(waitMs, signal)
  }
}
