import type { SessionPacket, Sessions } from '../aedes-internals.ts'
import { createQueuedMessages, type QueueLimits } from './queued-messages.ts'

export type SessionQueuesOptions = {
  limits: QueueLimits
  /** aedes' own matching of topics with the subscriptions of sessions. */
  matching: Pick<Sessions, 'addSubscriptions' | 'cleanSubscriptions'>
  isConnected(client: string): boolean
  /** Called when a message is dropped for a session. */
  onDropped(client: string, isQueueFull: boolean): void
}

/**
 * Queues messages for sessions. When a message is dropped for a session whose client is away, the
 * session is suspended: topics are no longer matched with its subscriptions until the client
 * connects. An abandoned session therefore costs no time.
 */
export function createSessionQueues(options: SessionQueuesOptions) {
  const { limits, matching, isConnected, onDropped } = options
  const queued = createQueuedMessages(limits)
  const suspended = new Set<string>()
  return {
    queued,
    enqueue(clients: string[], packet: SessionPacket): void {
      for (const client of queued.add(clients, packet)) {
        onDropped(client, queued.isFull(client))
        if (isConnected(client)) continue
        suspended.add(client)
        void matching.cleanSubscriptions({ id: client })
      }
    },
    /** Ends the suspension of a session, which has these subscriptions. */
    async resume(client: string, subscriptions: { topic: string; qos: number }[]): Promise<void> {
      if (suspended.delete(client)) await matching.addSubscriptions({ id: client }, subscriptions)
    },
    /** Drops everything that waits for a session. */
    async drop(client: string): Promise<void> {
      suspended.delete(client)
      queued.drop(client)
      await matching.cleanSubscriptions({ id: client })
    },
  }
}
