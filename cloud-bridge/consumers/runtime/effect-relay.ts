import { pause } from '../../../config/process/pause.ts'
import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { Fenced, type PartitionState, type PendingEffect } from '../state/state.ts'
import { type BatchProducerOptions, createBatchProducer } from './batch-producer.ts'

const BATCH_MAX_EFFECTS = 1000
const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

export type EffectRelayOptions = BatchProducerOptions & {
  onSent(topic: string, count: number): void
  /** Called when Kafka rejects an effect for good. */
  onRejected(effect: PendingEffect, reason: string): void
}

export type EffectRelay = ReturnType<typeof createEffectRelay>

/**
 * Sends the pending effects of partition states in their order, and removes each from its state
 * after Kafka's acknowledgement: at-least-once delivery. `wake` says that a state has pending
 * effects; `idle` resolves when no such state has pending effects.
 */
export function createEffectRelay(options: EffectRelayOptions) {
  const { signal, onSent, onRejected, onUnavailable } = options
  const circuit = createCircuitBreaker(BACKOFF)
  const produceBatch = createBatchProducer(options)
  const woken = new Set<PartitionState>()
  const forgotten = new WeakSet<PartitionState>()
  let running: Promise<void> | null = null

  const backOff = async (error: Error) => {
    onUnavailable(error.message)
    await pause(circuit.failed(), signal)
    circuit.probe()
  }
  /**
   * Whether another member owns the partition. That member sends the pending effects, and the
   * effects of this member must not arrive after those. Returns false while the state is
   * unavailable: a batch that may have arrived must be sent again unchanged, or the batch can be
   * lost.
   */
  const isLost = (state: PartitionState): Promise<boolean> =>
    forgotten.has(state)
      ? Promise.resolve(true)
      : state.commit({}).then(
          () => false,
          error => error instanceof Fenced,
        )
  /** Sends the oldest pending effects; false when there are none or another member owns them. */
  const sendOldest = async (state: PartitionState): Promise<boolean> => {
    const pending = await state.pendingEffects(BATCH_MAX_EFFECTS)
    for (const [topic, effects] of Map.groupBy(pending, effect => effect.topic)) {
      const fates = await produceBatch(topic, effects, () => isLost(state))
      if (!fates) return false
      for (const [index, reason] of fates.entries()) {
        if (reason !== null) onRejected(effects[index]!, reason)
      }
      await state.commit({ sent: effects })
      onSent(topic, effects.length)
    }
    return pending.length > 0
  }
  const run = async () => {
    // The loop also visits states that are added while it runs: they are at the end of the set.
    for (const state of woken) {
      if (signal.aborted) break
      woken.delete(state)
      try {
        if ((await sendOldest(state)) && !forgotten.has(state)) woken.add(state)
      } catch (error) {
        // The new owner sends the effects. Other errors can pass: a missing topic, an unavailable
        // state.
        if (error instanceof Fenced) continue
        await backOff(error as Error)
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
    /** Stops sending for a state: another member can own the partition and send its effects. */
    forget(state: PartitionState): void {
      woken.delete(state)
      forgotten.add(state)
    },
    idle: () => running ?? Promise.resolve(),
  }
}
