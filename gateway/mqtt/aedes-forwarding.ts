import type { Aedes, Client, PublishPacket } from './aedes-internals.ts'

/**
 * Makes aedes forward only the messages for which `isForwarded` returns true. `client` is null for
 * messages of the broker itself. A message that is not forwarded is acknowledged all the same.
 */
export function filterForwarding(
  aedes: Aedes,
  isForwarded: (packet: PublishPacket, client: Client | null) => boolean,
): void {
  const publish = aedes.publish.bind(aedes) as (...args: unknown[]) => void
  aedes.publish = ((packet: PublishPacket, client: unknown, done: unknown) => {
    // Public callers of aedes.publish have no client and pass their callback in its place.
    const isInternal = typeof done === 'function'
    if (isInternal && !isForwarded(packet, client as Client | null)) {
      setImmediate(done as () => void)
    } else publish(packet, client, done)
  }) as Aedes['publish']
}

/** A message that aedes passes to subscribers, and what aedes does afterwards. */
type Forwarding = [message: unknown, done: () => void]
type MessageQueue = { length: number; _do(...forwarding: Forwarding): unknown }
/** After this many messages in one turn of the event loop, other work comes first. */
const FORWARDED_IN_A_TURN = 500

/**
 * Makes aedes forward the messages that wait for subscribers one after the other. By itself, aedes
 * begins the next message inside the end of the message before when nobody is subscribed, and
 * thousands of waiting messages overflow the stack. Calls `onForwarded` after each message.
 */
export function forwardOneByOne(aedes: Aedes, onForwarded: () => void) {
  const { mq } = aedes as unknown as { mq?: MessageQueue }
  if (typeof mq?._do !== 'function') {
    throw new Error('this version of aedes has no queue of messages that can be bounded')
  }
  const begin = mq._do
  const ready: Forwarding[] = []
  let isRunning = false
  const run = () => {
    try {
      for (let count = 0; count < FORWARDED_IN_A_TURN; count++) {
        const next = ready.shift()
        if (!next) break
        begin.apply(mq, next)
        onForwarded()
      }
    } finally {
      isRunning = ready.length > 0
      if (isRunning) setImmediate(run)
    }
  }
  mq._do = (...forwarding) => {
    ready.push(forwarding)
    if (!isRunning) {
      isRunning = true
      run()
    }
    return mq
  }
  return {
    /** How many messages wait. */
    get waiting() {
      return mq.length + ready.length
    },
  }
}
