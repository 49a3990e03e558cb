import { retryUntilAnswered } from './answer-wait.ts'
import type { DeliveryContext } from './context.ts'
import { unlessDiskIsFull } from './full-disk.ts'
import { createNoteForwarder, noteSources } from './note-forwarder.ts'
import type { Poke } from './poke.ts'

const NOTES_EVERY_MS = 1000
const MANY_NOTES_EVERY_MS = 100

/**
 * Looks every second, for notes are few and seldom waited for; more often while there are any, and
 * when nudged.
 */
export async function deliverNotes(carrying: DeliveryContext, nudge: Poke): Promise<void> {
  const { config, source, inbox, metrics, flows, signal } = carrying
  const flow = flows.begin('notes')
  const { circuit, unavailable: onUnavailable } = flow
  await using sink = carrying.openSink()
  const known = new Map<string, number>()
  const partitionsOf = async (topic: string) => {
    const ask = () => carrying.partitionsOf(topic)
    const count =
      known.get(topic) ?? (await retryUntilAnswered(ask, topic, { circuit, signal, onUnavailable }))
    if (count !== null) known.set(topic, count)
    return count
  }
  const forward = createNoteForwarder({
    topics: config.kafka.topics,
    ...{ partitionsOf, sink, signal, circuit, onUnavailable },
    onRejected: ({ sequence, kind }, reason, { store, origin }) => {
      metrics.rejected()
      const content = { store, origin, sequence, kind, reason }
      inbox.addNotes([{ kind: 'rejected note', content }])
    },
    onMissing: (notes, { store, origin }) => {
      const content = { store, origin, notes, reason: 'no longer there' }
      inbox.addNotes([{ kind: 'jump', content }])
    },
  })
  while (!signal.aborted) {
    const store = source.store
    let restMs = NOTES_EVERY_MS
    for (const origin of store ? noteSources(store.id, source, inbox) : []) {
      const work = () => forward(origin, store!.gateway)
      let delivered = await unlessDiskIsFull(work, 0, onUnavailable)
      // Live events may wait for these.
      for (let more = delivered; origin.origin === 'inbox' && more > 0 && !signal.aborted; ) {
        more = await unlessDiskIsFull(work, 0, onUnavailable)
        delivered += more
      }
      metrics.notesDelivered(delivered)
      if (delivered === 0) continue
      flow.available()
      restMs = MANY_NOTES_EVERY_MS
    }
    await nudge.rest(restMs, signal)
  }
}
