import { randomBytes } from 'node:crypto'
import type { ProxiedKafka } from '../setup/kafka/proxied-kafka.ts'
import { apiKeys, type Frame } from './framing.ts'
import type { Judge, Verdict } from './proxy.ts'
import type { Stage } from './stage.ts'

/** How a fault is played on one broker behind a proxy. */
export type Script = (stage: Stage, on: ProxiedKafka) => Promise<void>

/** What a network does to a producer. */
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
  'five in a row are cut': async (stage, on) => {
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
  'every answer is swallowed for a while': async (stage, on) => {
    await stage.deliver()
    let swallowed = 0
    on.proxy.judge({ responses: () => hindering(stage, swallowed++ < 4 ? 'drop' : 'pass') })
    await deliver(stage, 3)
  },
  'connections are half-open': async (stage, on) => {
    await stage.deliver()
    on.proxy.freezeOld()
    stage.hurt()
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
  'a connection that takes nothing more': async (stage, on) => {
    await stage.deliver()
    on.proxy.stallOld()
    stage.hurt()
    // More than the buffers of both ends hold, so that the connection itself does not drain.
    const { topic, records } = stage.nextBatch()
    const value = () => randomBytes(600_000)
    await stage.deliver({ topic, records: records.map(one => ({ ...one, value: value() })) })
    await deliver(stage, 2)
  },
}

/** So many sends, of whose acknowledgements a share is cut, at random. */
export function playRandom(share: number, sends: number, seed = 1): Script {
  return async (stage, on) => {
    const random = seeded(seed)
    const verdict = () => (random() < share ? 'cut' : 'pass')
    on.proxy.judge({ responses: acks(stage, verdict) })
    await deliver(stage, sends)
  }
}

export async function deliver(stage: Stage, batches: number): Promise<void> {
  for (let count = 0; count < batches; count++) await stage.deliver()
}

/** Judges produce requests, or the answers to them, by their number from 0 on. */
export function acks(stage: Stage, verdictOn: (number: number) => Verdict): Judge {
  let number = 0
  return (frame: Frame) =>
    frame.api === apiKeys.produce ? hindering(stage, verdictOn(number++)) : 'pass'
}

function hindering(stage: Stage, verdict: Verdict): Verdict {
  if (verdict !== 'pass') stage.hurt()
  return verdict
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
