import { defaults } from '../../config/config.ts'
import { createFateDecision, messageHash } from '../../gateway/ingest/fate.ts'
import type { AcceptHandover, Handover } from '../../gateway/mqtt/broker.ts'
import type { AcceptRig } from './accept.ts'

type Waiting = { handover: Handover; sender: object; resolve(): void; reject(error: Error): void }

export type MemoryAccept = AcceptRig & {
  /** All handovers, in order. */
  readonly handedOver: readonly Handover[]
  readonly deadLettered: readonly string[]
}

/**
 * A minimal implementation of Accept: a list in memory. A test can delay its results or make it
 * refuse messages.
 */
export function createMemoryAccept(): MemoryAccept {
  const fateOf = createFateDecision(defaults.ingest)
  const handedOver: Handover[] = []
  const stored: number[] = []
  const deadLettered: string[] = []
  const known = new Map<string, string>()
  const refusedSenders = new WeakSet<object>()
  let waiting: Waiting[] = []
  let [isHolding, isRefusing] = [false, false]

  const forget = (handover: Exclude<Handover, { kind: 'message' }>) => {
    if (handover.kind === 'release')
      known.delete(`${handover.qos2Key.clientId} ${handover.qos2Key.packetId}`)
    else {
      for (const key of known.keys()) if (key.startsWith(`${handover.clientId} `)) known.delete(key)
    }
  }
  const store = (handover: Handover): void => {
    if (handover.kind !== 'message') {
      forget(handover)
      return
    }
    const { topic, qos2Key } = handover
    if (qos2Key) {
      const [key, hash] = [
        `${qos2Key.clientId} ${qos2Key.packetId}`,
        messageHash(handover).toString('hex'),
      ]
      if (known.get(key) === hash) return
      known.set(key, hash)
    }
    const fate = fateOf({ ...handover, clock: 'UNSYNCED' })
    if ('deadLetter' in fate) deadLettered.push(topic)
    else stored.push(fate.reading.measurements[0]?.number ?? Number.NaN)
  }
  const processWaiting = () => {
    const handovers = waiting
    waiting = []
    for (const { handover, sender, resolve, reject } of handovers) {
      const isRefused = isRefusing && 'topic' in handover && handover.topic.includes('/refused/')
      if (isRefused) refusedSenders.add(sender)
      if (refusedSenders.has(sender)) reject(new Error('refused'))
      else {
        store(handover)
        resolve()
      }
    }
  }
  const accept: AcceptHandover = (handover, sender) => {
    handedOver.push(handover)
    return new Promise((resolve, reject) => {
      waiting.push({ handover, sender, resolve, reject })
      if (!isHolding) queueMicrotask(processWaiting)
    })
  }
  return {
    ...{ accept, handedOver, deadLettered, stored: () => [...stored] },
    hold() {
      isHolding = true
      return () => {
        isHolding = false
        processWaiting()
      }
    },
    refuse() {
      isRefusing = true
      return () => {
        isRefusing = false
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}
