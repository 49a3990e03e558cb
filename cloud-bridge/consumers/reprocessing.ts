import { setTimeout as sleep } from 'node:timers/promises'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { ReadRecord, TopicOffsets } from '../ports/event-stream.ts'
import { type ConsumerContext, type ConsumerDefinition, openConfiguredStore } from './catalogue.ts'
import { createStatefulOpener } from './process.ts'
import { type ConsumerState, Fenced } from './state/state.ts'

const LOOK_EVERY_MS = 1000
const TELL_EVERY = 10

/**
 * Builds the state of a consumer anew from what Kafka got since a moment (ms since 1970; 0: from
 * all that it has), in a group of its own and beside the one that runs, whose effects alone are
 * sent. When it has come as far as the topics it becomes current, and who runs goes on in it.
 * Rejects with CannotStart for a consumer that has no such state, and when it is begun once more.
 */
export async function reprocess(
  { name, createHandling, commitEveryMs = 0 }: ConsumerDefinition,
  place: ConsumerContext,
  fromMs: number,
): Promise<void> {
  const { config, runtime, kafka, stack, log, signal } = place
  if (!createHandling) {
    throw new CannotStart(`${name} has no state to build anew: give it another place instead`)
  }
  const store = stack.use(openConfiguredStore(config))
  const state = stack.use(await store.build(name))
  const { number } = state.version
  const since = {
    ...runtime,
    read: (records: readonly ReadRecord[]) => runtime.read(after(records)),
  }
  const after = (records: readonly ReadRecord[]) =>
    records.filter(({ appendTimeMs }) => appendTimeMs >= fromMs)
  const own = untilReplaced(state, name)
  const open = createStatefulOpener(name, since, own, createHandling(place), {
    hasEffects: false,
    commitEveryMs,
  })
  const ending = new AbortController()
  const until = AbortSignal.any([signal, ending.signal])
  log.info({ version: number, from: new Date(fromMs).toISOString() }, 'building the state anew')
  const run = runtime.run(open, { groupId: `sluice-${name}-v${number}`, until })
  // It rejects where the loop would wait for ever.
  run.catch(() => ending.abort())
  let ends: ReadonlyMap<string, TopicOffsets> | null = null
  for (let look = 1; !until.aborted; look++) {
    await sleep(LOOK_EVERY_MS, undefined, { signal: until }).catch(() => {})
    const left = ends && leftOf(ends, runtime)
    if (left === 0) break
    if (look % TELL_EVERY === 0) log.info({ version: number, left }, 'building')
    // What is there at one look must be taken by the next.
    ends = await kafka.stream.topicOffsets(runtime.topics).catch(() => ends)
  }
  ending.abort()
  await run
  if (signal.aborted) return
  await store.makeCurrent(name, number)
  log.info({ version: number }, 'the new state is current')
}

/** How many records are yet to be taken; null while partitions are not ours or not seen yet. */
function leftOf(
  ends: ReadonlyMap<string, TopicOffsets>,
  { topics, nextOf }: Pick<ConsumerContext['runtime'], 'topics' | 'nextOf'>,
): number | null {
  let left = 0
  for (const topic of topics) {
    const stretch = ends.get(topic)
    if (!stretch) return null
    for (const [partition, end] of stretch.end) {
      const next = nextOf(topic, partition)
      if (next === null) return null
      // Of what Kafka deleted nothing comes.
      left += Math.max(0, end - Math.max(next, stretch.begin.get(partition) ?? 0))
    }
  }
  return left
}

/** Nobody else claims of a state that is being built: what fails so was replaced, and stays so. */
function untilReplaced({ claim }: ConsumerState, name: string): Pick<ConsumerState, 'claim'> {
  return {
    claim: partition =>
      claim(partition).catch(error => {
        if (!(error instanceof Fenced)) throw error
        throw new CannotStart(`another ${name} --from was begun since: this one ends`)
      }),
  }
}
