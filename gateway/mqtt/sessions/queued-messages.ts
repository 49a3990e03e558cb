import type { SessionId, SessionPacket } from '../aedes-internals.ts'

/** The approximate memory of a queued message in addition to its topic and payload. */
const MESSAGE_BYTES = 250

/**
 * How many messages may wait for one session, how many bytes may wait for all sessions together,
 * and how many sessions there may be.
 */
export type QueueLimits = { perSessionMax: number; maxBytes: number; sessionsMax: number }

type Queue = { packets: SessionPacket[]; bytes: number }

/**
 * The QoS 1 and 2 messages that wait for persistent sessions until their subscriber acknowledges
 * them. Half of `maxBytes` belongs to the sessions in equal shares, so that no session can take the
 * room of another; the other half is for whoever needs more. A message beyond the bounds is dropped
 * for that session only.
 */
export function createQueuedMessages({ perSessionMax, maxBytes, sessionsMax }: QueueLimits) {
  const queues = new Map<string, Queue>()
  const shares = createByteShares(maxBytes, sessionsMax)
  const { resize } = shares
  let count = 0
  const removeAt = (client: string, queue: Queue, index: number) => {
    const [packet] = queue.packets.splice(index, 1)
    count--
    resize(queue, -sizeOf(packet!))
    if (queue.packets.length === 0) queues.delete(client)
    return packet
  }

  return {
    get count() {
      return count
    },
    bytes: () => shares.bytes,
    /** Whether messages wait for a session. */
    has: (client: string) => queues.has(client),
    /** Whether a session has as many messages as it may have. */
    isFull: (client: string) => (queues.get(client)?.packets.length ?? 0) >= perSessionMax,
    /** Adds a message for several sessions. Returns the clients for which it is dropped. */
    add(clients: string[], packet: SessionPacket): string[] {
      const size = sizeOf(packet)
      const dropped: string[] = []
      // The payload is a view of the bytes that were read together; the copy lets them go.
      let copy: SessionPacket | null = null
      for (const client of clients) {
        const queue = queues.get(client) ?? { packets: [], bytes: 0 }
        if (queue.packets.length >= perSessionMax || !shares.hasRoom(queue, size)) {
          dropped.push(client)
          continue
        }
        copy ??= { ...packet, messageId: undefined, payload: copyOf(packet.payload) }
        queue.packets.push({ ...copy })
        queues.set(client, queue)
        count++
        resize(queue, size)
      }
      return dropped
    },
    /**
     * Gives a queued message its packet id, or replaces a message by its PUBREL, as aedes expects.
     * A message that was dropped is not found; it is sent without being queued.
     */
    update({ id }: SessionId, packet: SessionPacket): void {
      const queue = queues.get(id ?? '')
      const isSame = (other: SessionPacket) =>
        other.brokerId === packet.brokerId
          ? other.brokerCounter === packet.brokerCounter
          : other.messageId === packet.messageId
      const index = queue?.packets.findIndex(isSame) ?? -1
      if (!queue || index < 0) return
      const found = queue.packets[index]!
      if (found.brokerId === packet.brokerId) found.messageId = packet.messageId
      else {
        resize(queue, sizeOf(packet) - sizeOf(found))
        queue.packets[index] = packet
      }
    },
    /** Removes the message with a packet id and returns the message; undefined without one. */
    remove({ id }: SessionId, { messageId }: SessionPacket): SessionPacket | undefined {
      const queue = queues.get(id ?? '')
      if (!queue || messageId === undefined) return undefined
      const index = queue.packets.findIndex(packet => packet.messageId === messageId)
      return index < 0 ? undefined : removeAt(id!, queue, index)
    },
    /** The messages of a session, oldest first. */
    of: (client: string): SessionPacket[] => [...(queues.get(client)?.packets ?? [])],
    /** Removes all messages of a session; returns how many. */
    drop(client: string): number {
      const queue = queues.get(client)
      if (!queue) return 0
      queues.delete(client)
      count -= queue.packets.length
      resize(queue, -queue.bytes)
      return queue.packets.length
    },
  }
}

/** Shares bytes: one half in equal shares, the other half for the queues that need more. */
function createByteShares(maxBytes: number, sessionsMax: number) {
  const shareBytes = maxBytes / 2 / sessionsMax
  const beyondShare = (bytes: number) => Math.max(0, bytes - shareBytes)
  let bytes = 0
  let commonBytes = 0
  return {
    get bytes() {
      return bytes
    },
    hasRoom(queue: { bytes: number }, more: number): boolean {
      const beyond = beyondShare(queue.bytes + more)
      if (bytes + more > maxBytes) return false
      return beyond === 0 || commonBytes - beyondShare(queue.bytes) + beyond <= maxBytes / 2
    },
    resize(queue: { bytes: number }, change: number): void {
      commonBytes -= beyondShare(queue.bytes)
      queue.bytes += change
      bytes += change
      commonBytes += beyondShare(queue.bytes)
    },
  }
}

const sizeOf = ({ topic = '', payload }: SessionPacket) =>
  MESSAGE_BYTES + topic.length + (payload?.length ?? 0)

/** A copy that shares its memory with nothing. */
export function copyOf(payload: Buffer | string | undefined): Buffer {
  const bytes = Buffer.from(payload ?? '')
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
