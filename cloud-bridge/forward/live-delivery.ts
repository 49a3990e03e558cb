import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import { partitionMismatch } from '../partitions/zone-spread.ts'
import { retryUntilAnswered } from './answer-wait.ts'
import { createBacklogSplitter } from './backlog-split.ts'
import { createBatchSize } from './batch-size.ts'
import { createRejectionHandler, type DeliveryContext } from './delivery-context.ts'
import { createForwarder } from './forwarder.ts'
import { nullIfDiskIsFull, unlessDiskIsFull } from './full-disk.ts'
import { startIsolatedPartitions } from './isolated-partitions.ts'

/** Whether live events need the whole uplink; the backfill then pauses. */
export type LiveStatus = { isBusy: boolean }

/**
 * Delivers live events to the readings topic until `signal` aborts. The outbox's bell wakes the
 * loop; a slow poll covers a missed bell. Partitions that delay the others are isolated, and a
 * backlog is split off.
 */
export async function deliverLive(context: DeliveryContext, live: LiveStatus): Promise<void> {
  const { config, source, metrics, hotZones, signal, flows } = context
  await using sink = context.openSink()
  const splitter = createBacklogSplitter(context)
  await using isolated = startIsolatedPartitions(context, splitter)
  const flow = flows.add('events')
  const onUnavailable = (reason: string) => {
    metrics.retried()
    flow.setWaiting(reason)
  }
  const forwarder = createForwarder<RangeBatch>({
    ...{ source, signal, sink, onUnavailable, circuit: flow.circuit, framing: context.framing },
    size: createBatchSize(config.bridge),
    lingerMs: config.bridge.lingerMs,
    onRejected: createRejectionHandler(context),
    onDelivered: (pending, batch) => {
      metrics.delivered(batch)
      hotZones.delivered(pending)
      flow.setRunning()
    },
    isolation: {
      afterMs: config.bridge.apartAfterMs,
      isolate: (pending, batch, fates) => isolated.isolate(pending, batch, fates, sink),
    },
  })
  const topic = config.kafka.topics.readings
  const configured = config.kafka.partitions
  const enoughPartitions = async () => {
    const count = await context.partitionsOf(topic)
    if (count >= (configured ?? 0)) return count
    const cure = 'add partitions to the topic, or lower kafka.partitions'
    const fault = `kafka.partitions is ${configured}, but topic ${topic} has ${count} partitions`
    throw new Error(`${fault}: ${cure}`)
  }
  /**
   * Creates the live range at the first contact with Kafka. The range fixes over how many
   * partitions zones are spread.
   */
  const ensureLiveRange = async () => {
    const options = { circuit: flow.circuit, signal, onUnavailable }
    const count = await retryUntilAnswered(enoughPartitions, topic, options)
    if (count !== null) source.ensureLiveRange(topic, configured ?? count)
  }
  let reportedMismatch: string | undefined
  const reportMismatch = () => {
    const [mismatch] = partitionMismatch(configured, source.ranges)
    if (mismatch !== undefined && mismatch !== reportedMismatch) {
      context.onPartitionMismatch(mismatch)
    }
    reportedMismatch = mismatch
  }
  let recordedStore: Buffer | null = null
  /**
   * Reports to the ledger which events are deferred, once at start and once for each new outbox.
   */
  const recordContact = async (store: Buffer) => {
    if (recordedStore?.equals(store)) return
    if (!nullIfDiskIsFull(() => source.plan.recordContact(store) ?? true)) return
    recordedStore = store
    if (source.ranges.length > 1) await context.flushNotes()
  }
  const step = async () => {
    const store = source.refresh()
    if (store && !source.sendsTo(topic)) await ensureLiveRange()
    if (!store) return 'nothing'
    await recordContact(store.id)
    await isolated.update()
    context.batchBoundary.reached()
    reportMismatch()
    await splitter.check()
    return await forwarder.step()
  }
  while (!signal.aborted) {
    hotZones.tick()
    const result = await unlessDiskIsFull(step, 'nothing', onUnavailable)
    live.isBusy = result === 'large batch'
    if (live.isBusy) continue
    await source.waitForCommit(config.bridge.pollMs)
    await forwarder.pace(source.waitForCommit)
  }
}
