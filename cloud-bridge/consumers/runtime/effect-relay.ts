import { pause } from '../../../config/process/pause.ts'
import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { Fenced, type PartitionState, type PendingEffect } from '../state/state.ts'
import { type BatchProducerOptions, createBatchProducer } from './batch-producer.ts'

const BATCH_MAX = 1000
const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

export type EffectRelayOptions = BatchProducerOptions & {
  onSent(topic: string, count: number): void
  /** Kafka will never take it. */
  onRefused(effect: PendingEffect, reason: string): void
}

export type EffectRelay = ReturnType<typeof createEffectRelay>

/**
 * Sends what waits in the states of partitions, in its order, and takes it out when Kafka has it:
 * at least once. `wake` says that something waits; `idle` resolves when nothing does any more.
 */
export function createEffectRelay(options: EffectRelayOptions) {
  const { signal, onSent, onRefused, onAway } = options
  const circuit = createCircuitBreaker(BACKOFF)
  const sendWhole = createBatchProducer(options)
  const woken = new Set<PartitionState>()
  const forgotten = new WeakSet<PartitionState>()
  let running: Promise<void> | null = null

  const rest = async (error: Error) => {
    onAway(error.message)
    await pause(circuit.failed(), signal)
    circuit.probe()
  }
  /**
   * Whether another has the partition, which then sends what waits: ours must not follow it. While
   * nobody can tell, no: a batch that may have arrived must go again unchanged, or it is lost.
   */
  const isLost = (state: PartitionState): Promise<boolean> =>
    forgotten.has(state)
      ? Promise.resolve(true)
      : state.commit({}).then(
          () => false,
          error => error instanceof Fenced,
        )
  /** Sends the oldest that wait; whether there were any. */
  const step = async (state: PartitionState): Promise<boolean> => {
    const waiting = await state.waiting(BATCH_MAX)
    for (const [topic, effects] of Map.groupBy(waiting, one => one.topic)) {
      const fates = await sendWhole(topic, effects, () => isLost(state))
      if (!fates) return false
      for (const [at, reason] of fates.entries()) {
        if (reason !== null) onRefused(effects[at]!, reason)
      }
      await state.commit({ sent: effects })
      onSent(topic, effects.length)
    }
    return waiting.length > 0
  }
  const run = async () => {
    // What is woken meanwhile, or has more, comes at the end.
    for (const state of woken) {
      if (signal.aborted) break
      woken.delete(state)
      try {
        if ((await step(state)) && !forgotten.has(state)) woken.add(state)
      } catch (error) {
        // Whose the partition is now sends it. The rest may pass: no such topic, state away.
        if (error instanceof Fenced) continue
        await rest(error as Error)
        if (!forgotten.has(state)) woken.add(state)
      }
    }
    running = null
  }

  return {
    wake(state: PartitionState): void {
      woken.add(state)
      running ??= run()
    },
    /** The partition may be another's now, which sends what waits: an older one must not follow. */
    forget(state: PartitionState): void {
      woken.delete(state)
      forgotten.add(state)
    },
    idle: () => running ?? Promise.resolve(),
  }
}
