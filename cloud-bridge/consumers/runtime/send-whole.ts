import { setTimeout as sleep } from 'node:timers/promises'
import { startPartitioner } from '../../../config/partitions.ts'
import { startCircuit } from '../../circuit.ts'
import { type Batch, type EventSink, type Rejection, SinkUnavailable } from '../../forwarder.ts'
import type { Effect } from '../state/state.ts'

/** Tells on a record what it is about, so that a second one can be told. */
const ID_HEADER = 'sluice-effect'
const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

export type SendOptions = {
  sink: EventSink
  partitionsOf(topic: string): Promise<number>
  signal: AbortSignal
  /** It cannot be sent now, or null: it can again. */
  onAway(reason: string | null): void
}

/**
 * Gives what sends effects of one topic, the identical batch again until the fate of each is known;
 * null when `signal` aborted before, or `isOver`, which must not reject, says that they are
 * another's now. One call at a time.
 */
export function startSendWhole({ sink, partitionsOf, signal, onAway }: SendOptions) {
  const circuit = startCircuit(BACKOFF)
  const places = new Map<string, ReturnType<typeof startPartitioner>>()

  const batchOf = async (topic: string, effects: readonly Effect[]): Promise<Batch> => {
    const place = places.get(topic) ?? startPartitioner(await partitionsOf(topic))
    places.set(topic, place)
    const records = effects.map(({ id, key, value }) => ({
      ...place(key),
      value,
      headers: { [ID_HEADER]: id },
    }))
    return { topic, records }
  }
  return async (
    topic: string,
    effects: readonly Effect[],
    isOver: () => Promise<boolean> = async () => false,
  ): Promise<Rejection[] | null> => {
    const batch = await batchOf(topic, effects)
    while (!signal.aborted) {
      if (await isOver()) return null
      try {
        const fates = await sink.send(batch)
        if (circuit.state !== 'closed') onAway(null)
        circuit.succeeded()
        return fates
      } catch (error) {
        if (!(error instanceof SinkUnavailable)) throw error
        onAway(error.message)
        await sleep(circuit.failed(), undefined, { signal }).catch(() => {})
        circuit.probe()
        // Another batch must not go through the producer that has tried this one.
        if (await isOver()) await sink.setApart(batch).sink[Symbol.asyncDispose]()
      }
    }
    return null
  }
}
