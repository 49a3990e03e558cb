import { setTimeout as sleep } from 'node:timers/promises'
import { startPartitioner } from '../../../config/partitions.ts'
import { startCircuit } from '../../circuit.ts'
import { type Batch, type EventSink, type Rejection, SinkUnavailable } from '../../forwarder.ts'
import { Fenced, type PartitionState, type WaitingEffect } from '../state/state.ts'

/** Tells on a record what it is about, so that a second one can be told. */
const ID_HEADER = 'sluice-effect'
const BATCH_MAX = 1000
const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

export type EffectsOptions = {
  sink: Pick<EventSink, 'send'>
  partitionsOf(topic: string): Promise<number>
  signal: AbortSignal
  onSent(topic: string, count: number): void
  /** Kafka will never take it. */
  onRefused(effect: WaitingEffect, reason: string): void
  /** It cannot be sent now, or null: it can again. */
  onAway(reason: string | null): void
}

export type Effects = ReturnType<typeof startEffects>

/**
 * Sends what waits in the states of partitions, in its order, and takes it out when Kafka has it:
 * at least once. `wake` says that something waits; `idle` resolves when nothing does any more.
 */
export function startEffects(options: EffectsOptions) {
  const { sink, signal, onSent, onRefused, onAway } = options
  const circuit = startCircuit(BACKOFF)
  const places = new Map<string, ReturnType<typeof startPartitioner>>()
  const woken = new Set<PartitionState>()
  let running: Promise<void> | null = null

  const batchOf = async (topic: string, effects: readonly WaitingEffect[]): Promise<Batch> => {
    const place = places.get(topic) ?? startPartitioner(await options.partitionsOf(topic))
    places.set(topic, place)
    const records = effects.map(({ id, key, value }) => ({
      ...place(key),
      value,
      headers: { [ID_HEADER]: id },
    }))
    return { topic, records }
  }
  /** The identical batch again until its fate is known. */
  const sendWhole = async (batch: Batch): Promise<Rejection[] | null> => {
    while (!signal.aborted) {
      try {
        const fates = await sink.send(batch)
        if (circuit.state !== 'closed') onAway(null)
        circuit.succeeded()
        return fates
      } catch (error) {
        if (!(error instanceof SinkUnavailable)) throw error
        await rest(error)
      }
    }
    return null
  }
  const rest = async (error: Error) => {
    onAway(error.message)
    await sleep(circuit.failed(), undefined, { signal }).catch(() => {})
    circuit.probe()
  }
  /** Sends the oldest that wait; whether there were any. */
  const step = async (state: PartitionState): Promise<boolean> => {
    const waiting = await state.waiting(BATCH_MAX)
    for (const [topic, effects] of Map.groupBy(waiting, one => one.topic)) {
      const fates = await sendWhole(await batchOf(topic, effects))
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
        if (await step(state)) woken.add(state)
      } catch (error) {
        // Whose the partition is now sends what waits. The rest may pass: no topic, state away.
        if (error instanceof Fenced) continue
        await rest(error as Error)
        woken.add(state)
      }
    }
    running = null
  }

  return {
    wake(state: PartitionState): void {
      woken.add(state)
      running ??= run()
    },
    /** The partition is another's now. */
    forget: (state: PartitionState) => woken.delete(state),
    idle: () => running ?? Promise.resolve(),
  }
}
