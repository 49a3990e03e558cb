import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import { partitionMismatch } from '../partitions/zone-spread.ts'
import { retryUntilAnswered } from './answer-wait.ts'
import { createBacklogSplitter } from './backlog-split.ts'
import { createBatchSize } from './batch-size.ts'
import { createRejectionHandler, type DeliveryContext } from './context.ts'
import { createForwarder } from './forwarder.ts'
import { nullIfDiskIsFull, unlessDiskIsFull } from './full-disk.ts'
import { startIsolatedPartitions } from './isolated-partitions.ts'

/** How live events are doing; what goes behind them asks. */
export type LiveStatus = { isBusy: boolean }

/**
 * Carries what is live to the readings until asked to end, woken by the bell, with a slow poll
 * behind it. Partitions that would hold up the others get a range apart; a backlog is cut off.
 */
export async function deliverLive(carrying: DeliveryContext, live: LiveStatus): Promise<void> {
  const { config, source, metrics, hotZones, signal, flows } = carrying
  await using sink = carrying.openSink()
  const cutting = createBacklogSplitter(carrying)
  await using apart = startIsolatedPartitions(carrying, cutting)
  const flow = flows.begin('events')
  const onUnavailable = (reason: string) => {
    metrics.retried()
    flow.unavailable(reason)
  }
  const forwarder = createForwarder<RangeBatch>({
    ...{ source, signal, sink, onUnavailable, circuit: flow.circuit, framing: carrying.framing },
    size: createBatchSize(config.bridge),
    lingerMs: config.bridge.lingerMs,
    onRejected: createRejectionHandler(carrying),
    onDelivered: (taken, batch) => {
      metrics.delivered(batch)
      hotZones.delivered(taken)
      flow.available()
    },
    isolation: {
      afterMs: config.bridge.apartAfterMs,
      begin: (taken, batch, fates) => apart.begin(taken, batch, fates, sink),
    },
  })
  const topic = config.kafka.topics.readings
  const ask = { circuit: flow.circuit, signal, onUnavailable }
  const atLeast = async (name: string) => {
    const found = await carrying.partitionsOf(name)
    if (found >= (config.kafka.partitions ?? 0)) return found
    throw new Error(`kafka.partitions is ${config.kafka.partitions}, but there are only ${found}`)
  }
  /** The first contact fixes how many partitions the zones are spread over. */
  const begin = async () => {
    const found = await retryUntilAnswered(() => atLeast(topic), topic, ask)
    if (found !== null) source.ensureLiveRange(topic, config.kafka.partitions ?? found)
  }
  let disagrees: string | undefined
  const lookAtSpread = () => {
    const [said] = partitionMismatch(config.kafka.partitions, source.ranges)
    if (said !== undefined && said !== disagrees) carrying.onPartitionMismatch(said)
    disagrees = said
  }
  let known: Buffer | null = null
  /**
   * At start, and when another outbox stands there: the ledger hears what is still to come later.
   */
  const tell = async (store: Buffer) => {
    if (known?.equals(store) || !nullIfDiskIsFull(() => source.plan.recordContact(store) ?? true))
      return
    known = store
    if (source.ranges.length > 1) await carrying.flushNotes()
  }
  const step = async () => {
    const store = source.refresh()
    if (store && !source.sendsTo(topic)) await begin()
    if (!store) return 'nothing'
    await tell(store.id)
    await apart.keep()
    carrying.batchBoundary.perform()
    lookAtSpread()
    await cutting.look()
    return await forwarder.step()
  }
  while (!signal.aborted) {
    hotZones.look()
    const did = await unlessDiskIsFull(step, 'nothing', onUnavailable)
    live.isBusy = did === 'large batch'
    if (live.isBusy) continue
    await source.waitForCommit(config.bridge.pollMs)
    await forwarder.pace(source.waitForCommit)
  }
}
