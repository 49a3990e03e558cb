import { CannotStart } from '../../config/process/lifetime.ts'
import { pause } from '../../config/process/pause.ts'
import type { ReadRecord, TopicOffsets } from '../ports/event-stream.ts'
import { type ConsumerContext, type ConsumerDefinition, openConfiguredStore } from './catalogue.ts'
import { type ConsumerProcess, createStatefulOpener } from './process.ts'
import { type ConsumerState, Fenced } from './state/state.ts'

const POLL_EVERY_MS = 1000
const POLLS_PER_LOG_LINE = 10

/**
 * Rebuilds the state of a consumer from the records that Kafka stored since a moment (ms since
 * 1970; 0: all records). The rebuild has a consumer group of its own and runs beside the current
 * version; only the current version's effects are sent. When the rebuild has caught up with the
 * topics, its version becomes current, and the running processes continue with it. Rejects with
 * CannotStart for a consumer whose state cannot be rebuilt, and when a later rebuild replaces this
 * rebuild.
 */
export async function reprocess(
  { name, createHandling, commitEveryMs = 0 }: ConsumerDefinition,
  context: ConsumerContext,
  fromMs: number,
): Promise<void> {
  const { config, runtime, kafka, stack, log, signal } = context
  if (!createHandling) {
    const cure = 'to read all records again, set consumers.archive.dir to a new, empty directory'
    throw new CannotStart(`${name} has no state to rebuild: ${cure}`)
  }
  const store = stack.use(openConfiguredStore(config))
  const state = stack.use(await store.build(name))
  const { number: version } = state.version
  const isSince = ({ appendTimeMs }: ReadRecord) => appendTimeMs >= fromMs
  const filtered: ConsumerProcess = {
    ...runtime,
    decodeRecords: records => runtime.decodeRecords(records.filter(isSince)),
  }
  const access = endWhenReplaced(state, name)
  const open = createStatefulOpener(name, filtered, access, createHandling(context), {
    hasEffects: false,
    commitEveryMs,
  })
  const ending = new AbortController()
  const until = AbortSignal.any([signal, ending.signal])
  log.info({ version, from: new Date(fromMs).toISOString() }, 'rebuilding the state')
  const running = runtime.run(open, { groupId: `sluice-${name}-v${version}`, until })
  // Without this, the loop below would never end after a rejection.
  running.catch(() => ending.abort())
  let ends: ReadonlyMap<string, TopicOffsets> | null = null
  for (let polls = 1; !until.aborted; polls++) {
    await pause(POLL_EVERY_MS, until)
    const left = ends && unprocessedCount(ends, runtime)
    if (left === 0) break
    if (polls % POLLS_PER_LOG_LINE === 0) log.info({ version, left }, 'rebuilding the state')
    // The rebuild has caught up when all records below the ends of one poll are processed at the
    // next poll.
    ends = await kafka.stream.topicOffsets(runtime.topics).catch(() => ends)
  }
  ending.abort()
  await running
  if (signal.aborted) return
  await store.makeCurrent(name, version)
  log.info({ version }, 'the rebuilt state is current')
}

/**
 * The number of unprocessed records below the given ends. Null while a topic is unknown, or a
 * partition is not assigned to this process.
 */
function unprocessedCount(
  ends: ReadonlyMap<string, TopicOffsets>,
  { topics, nextOffset }: Pick<ConsumerProcess, 'topics' | 'nextOffset'>,
): number | null {
  let count = 0
  for (const topic of topics) {
    const offsets = ends.get(topic)
    if (!offsets) return null
    for (const [partition, end] of offsets.end) {
      const next = nextOffset(topic, partition)
      if (next === null) return null
      // Kafka's retention deleted the records below `begin`.
      count += Math.max(0, end - Math.max(next, offsets.begin.get(partition) ?? 0))
    }
  }
  return count
}

/**
 * Returns `claim` of a version that is being built. When this `claim` is fenced, a later rebuild
 * has replaced the version, so it rejects with CannotStart.
 */
function endWhenReplaced({ claim }: ConsumerState, name: string): Pick<ConsumerState, 'claim'> {
  return {
    claim: partition =>
      claim(partition).catch(error => {
        if (!(error instanceof Fenced)) throw error
        throw new CannotStart(`a later ./sluice consume ${name} --from replaced this rebuild`)
      }),
  }
}
