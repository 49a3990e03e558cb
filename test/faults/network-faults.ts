import { randomBytes } from 'node:crypto'
import type { ProxiedKafka } from '../setup/kafka/proxied-kafka.ts'
import { apiKeys, type Frame } from './framing.ts'
import type { Judge, Verdict } from './proxy.ts'
import type { Stage } from './stage.ts'

/** Plays a fault of one broker behind a proxy. */
export type Script = (stage: Stage, on: ProxiedKafka) => Promise<void>

/** Faults of the network between a producer and its broker. */
export const networkFaults: Record<string, Script> = {
  'an acknowledgement is lost': async (stage, on) => {
    await stage.deliver()
    on.proxy.judge({ responses: acks(stage, number => (number === 0 ? 'drop' : 'pass')) })
    await deliver(stage, 3)
  },
  'a connection is cut after the append': async (stage, on) => {
    await stage.deliver()
    on.proxy.judge({ responses: acks(stage, number => (number === 0 ? 'cut' : 'pass')) })
    await deliver(stage, 3)
  },
  'five acknowledgements in a row are lost': async (stage, on) => {
    await stage.deliver()
    on.proxy.judge({ responses: acks(stage, number => (number < 5 ? 'drop' : 'pass')) })
    await deliver(stage, 3)
  },
  'five connections in a row are cut': async (stage, on) => {
    await stage.deliver()
    on.proxy.judge({ responses: acks(stage, number => (number < 5 ? 'cut' : 'pass')) })
    await deliver(stage, 3)
  },
  'acknowledgements come after the deadline': async (stage, on) => {
    await stage.deliver()
    const late = { delayMs: on.proxied.requestTimeoutMs * 1.5 }
    on.proxy.judge({ responses: acks(stage, number => (number < 3 ? late : 'pass')) })
    await deliver(stage, 3)
  },
  'one in three is cut at random': playRandom(1 / 3, 20),
  'requests never arrive': async (stage, on) => {
    await stage.deliver()
    on.proxy.judge({ requests: acks(stage, number => (number < 2 ? 'drop' : 'pass')) })
    await deliver(stage, 3)
  },
  'every response is lost for a while': async (stage, on) => {
    await stage.deliver()
    let lost = 0
    on.proxy.judge({ responses: () => recorded(stage, lost++ < 4 ? 'drop' : 'pass') })
    await deliver(stage, 3)
  },
  'connections are half-open': async (stage, on) => {
    await stage.deliver()
    on.proxy.freezeOld()
    stage.recordFault()
    await deliver(stage, 3)
  },
  'connections are half-open after an append': async (stage, on) => {
    await stage.deliver()
    const freeze = (number: number): Verdict => {
      if (number === 0) on.proxy.freezeOld()
      return number === 0 ? 'drop' : 'pass'
    }
    on.proxy.judge({ responses: acks(stage, freeze) })
    await deliver(stage, 3)
  },
  'a connection that accepts no more bytes': async (stage, on) => {
    await stage.deliver()
    on.proxy.stallOld()
    stage.recordFault()
    // More bytes than fit into the socket buffers of both ends.
    const { topic, records } = stage.nextBatch()
    const value = () => randomBytes(600_000)
    await stage.deliver({ topic, records: records.map(record => ({ ...record, value: value() })) })
    await deliver(stage, 2)
  },
}

/** Sends batches; a random fraction of the acknowledgements is cut off. */
export function playRandom(fraction: number, sends: number, seed = 1): Script {
  return async (stage, on) => {
    const random = seeded(seed)
    const verdict = () => (random() < fraction ? 'cut' : 'pass')
    on.proxy.judge({ responses: acks(stage, verdict) })
    await deliver(stage, sends)
  }
}

export async function deliver(stage: Stage, batches: number): Promise<void> {
  for (let count = 0; count < batches; count++) await stage.deliver()
}

/** Judges produce requests, or their responses, by their number from 0 on. */
export function acks(stage: Stage, verdictOn: (number: number) => Verdict): Judge {
  let number = 0
  return (frame: Frame) =>
    frame.api === apiKeys.produce ? recorded(stage, verdictOn(number++)) : 'pass'
}

function recorded(stage: Stage, verdict: Verdict): Verdict {
  if (verdict !== 'pass') stage.recordFault()
  return verdict
}

/** Random numbers from 0 to 1, reproducible by seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
