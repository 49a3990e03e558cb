import { defaults } from '../../config/config.ts'
import { createFateDecision, messageHash } from '../../gateway/ingest/fate.ts'
import type { AcceptHandover, Handover } from '../../gateway/mqtt/broker.ts'
import type { AcceptRig } from './accept.ts'

type Waiting = { handover: Handover; sender: object; resolve(): void; reject(error: Error): void }

export type MemoryAccept = AcceptRig & {
  /** Everything that was handed over, in the order in which it came. */
  readonly handedOver: readonly Handover[]
  readonly deadLettered: readonly string[]
}

/** The smallest accept: a list in memory, which a test can hold or make refuse. */
export function createMemoryAccept(): MemoryAccept {
  const fateOf = createFateDecision(defaults.ingest)
  const handedOver: Handover[] = []
  const stored: number[] = []
  const buried: string[] = []
  const known = new Map<string, string>()
  const refusedSenders = new WeakSet<object>()
  let waiting: Waiting[] = []
  let [isHeld, isRefusing] = [false, false]

  const forget = (handover: Exclude<Handover, { kind: 'message' }>) => {
    if (handover.kind === 'release')
      known.delete(`${handover.qos2Key.clientId} ${handover.qos2Key.packetId}`)
    else {
      for (const key of known.keys()) if (key.startsWith(`${handover.clientId} `)) known.delete(key)
    }
  }
  const keep = (handover: Handover): void => {
    if (handover.kind !== 'message') {
      forget(handover)
      return
    }
    const { topic, qos2Key: once } = handover
    if (once) {
      const [key, hash] = [
        `${once.clientId} ${once.packetId}`,
        messageHash(handover).toString('hex'),
      ]
      if (known.get(key) === hash) return
      known.set(key, hash)
    }
    const fate = fateOf({ ...handover, clock: 'UNSYNCED' })
    if ('deadLetter' in fate) buried.push(topic)
    else stored.push(fate.reading.measurements[0]?.number ?? Number.NaN)
  }
  const settle = () => {
    const all = waiting
    waiting = []
    for (const { handover, sender, resolve, reject } of all) {
      const isHit = isRefusing && 'topic' in handover && handover.topic.includes('/refused/')
      if (isHit) refusedSenders.add(sender)
      if (refusedSenders.has(sender)) reject(new Error('refused'))
      else {
        keep(handover)
        resolve()
      }
    }
  }
  const accept: AcceptHandover = (handover, sender) => {
    handedOver.push(handover)
    return new Promise((resolve, reject) => {
      waiting.push({ handover, sender, resolve, reject })
      if (!isHeld) queueMicrotask(settle)
    })
  }
  return {
    ...{ accept, handedOver, deadLettered: buried, stored: () => [...stored] },
    hold() {
      isHeld = true
      return () => {
        isHeld = false
        settle()
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
