import { appendFileSync } from 'node:fs'
import { createEffectRelay } from '../../../../cloud-bridge/consumers/runtime/effect-relay.ts'
import { openStateStore } from '../../../../cloud-bridge/consumers/state/configured-store.ts'
import { backfill, eventsOf, live, never, openListing, recordsOf } from './fixture.ts'

/** The records in Kafka: each zone's live events with duplicates, and its backlog. */
export const [ZONES, NUMBERS, BATCH_MAX] = [10, 500, 30]
export function recordsIn(topic: string) {
  const events = Array.from({ length: NUMBERS }, (_, at) => at + 1).flatMap(number =>
    Array.from({ length: ZONES }, (_, zone) => {
      const isBacklog = number % 7 === 3
      const isDuplicate = number % 5 === 0
      if (topic === backfill ? !isBacklog && !isDuplicate : isBacklog) return []
      return eventsOf([number], { zone: `z${zone}`, id: `${zone}-${number}` })
    }).flat(),
  )
  return recordsOf(events)
}

/**
 * A process that processes all records on the states of a location, prints a dot for each commit,
 * and sends effects into a file. It ends when everything is processed.
 */
if (import.meta.main) {
  const [location, sentFile] = process.argv.slice(2) as [string, string]
  const store = openStateStore(JSON.parse(location))
  const state = await store.open('listing')
  const effects = createEffectRelay({
    sink: {
      async send({ records }) {
        appendFileSync(sentFile, records.map(({ value }) => `${value}\n`).join(''))
        return records.map(() => null)
      },
      isolate: () => {
        throw new Error('nothing fails here')
      },
    },
    ...{ partitionsOf: async () => 1, signal: never },
    ...{ onSent() {}, onRejected() {}, onUnavailable() {} },
  })
  const { work } = await openListing(state, {
    onCommitted: (_, committed) => effects.wake(committed),
  })
  const topics = [live, backfill].map(topic => ({ topic, records: recordsIn(topic) }))
  for (let isLeft = true; isLeft; ) {
    isLeft = false
    for (const { topic, records } of topics) {
      const next = work.nextOffsets.get(topic) ?? 0
      const batch = records.slice(next, next + 1 + Math.floor(Math.random() * BATCH_MAX))
      if (batch.length === 0) continue
      isLeft = true
      await work.processRecords(topic, batch, never)
      process.stdout.write('.')
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  await effects.idle()
  await state[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
}
