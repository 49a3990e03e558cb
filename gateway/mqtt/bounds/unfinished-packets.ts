/** Packets of at most this size never wait: `connectionsMax` bounds them well enough. */
const SMALL_BYTES = 4096

export type UnfinishedLimits = {
  /** How many declared bytes unfinished packets may have together. */
  maxBytes: number
  /** How long a packet waits before other connections are closed to make room. */
  waitMaxMs: number
}

type Unfinished = { bytes: number; sinceMs: number }

/** `holdReads` stops reading from one connection, until `releaseReads`. */
export type UnfinishedActions<C> = {
  holdReads(connection: C): void
  releaseReads(connection: C): void
  close(connection: C, reason: string): void
  /** Called when the packet of a connection has its room: at once, or after it has waited. */
  onAdmitted(connection: C): void
  /** Called when `bytes` has changed. */
  onChange(): void
}

/**
 * Bounds the memory of unfinished packets: packets whose fixed header is read and whose last byte
 * is not. A packet counts with the length that it declares. When there is no room, the connection
 * is not read until there is; packets wait in the order of their arrival. When a packet has waited
 * for `waitMaxMs`, the connections whose packets are unfinished for longest are closed: a packet
 * that arrives at an ordinary speed is never among them. `now` is the reading clock; `check` is to
 * be called at its steps.
 */
export function createUnfinishedPackets<C extends object>(
  { maxBytes, waitMaxMs }: UnfinishedLimits,
  { holdReads, releaseReads, close, onAdmitted, onChange }: UnfinishedActions<C>,
  now: () => number,
) {
  /** Oldest first, as a map keeps the order of insertion. */
  const admitted = new Map<C, Unfinished>()
  const waiting = new Map<C, Unfinished>()
  let bytes = 0

  const hasRoom = (more: number) => bytes === 0 || bytes + more <= maxBytes
  const admit = (connection: C, unfinished: Unfinished) => {
    admitted.set(connection, unfinished)
    bytes += unfinished.bytes
    onAdmitted(connection)
  }
  const admitWaiting = () => {
    for (const [connection, unfinished] of waiting) {
      if (!hasRoom(unfinished.bytes)) return
      waiting.delete(connection)
      admit(connection, { ...unfinished, sinceMs: now() })
      releaseReads(connection)
    }
  }

  return {
    /** The declared bytes of unfinished packets whose connections are read. */
    get bytes() {
      return bytes
    },
    /** Adds the unfinished packet of a connection, which has no other. */
    add(connection: C, declaredBytes: number): void {
      const unfinished = { bytes: declaredBytes, sinceMs: now() }
      const isSmall = declaredBytes <= SMALL_BYTES
      if (isSmall || (waiting.size === 0 && hasRoom(declaredBytes))) {
        admit(connection, unfinished)
        onChange()
      } else {
        waiting.set(connection, unfinished)
        holdReads(connection)
      }
    },
    /** Removes the packet of a connection, because it is complete or the connection is closed. */
    remove(connection: C): void {
      if (waiting.delete(connection)) releaseReads(connection)
      bytes -= admitted.get(connection)?.bytes ?? 0
      admitted.delete(connection)
      admitWaiting()
      onChange()
    },
    /** Closes connections when a packet has waited too long. */
    check(): void {
      const [first] = waiting.values()
      if (!first || now() - first.sinceMs < waitMaxMs) return
      let freedBytes = 0
      for (const [connection, unfinished] of admitted) {
        if (now() - unfinished.sinceMs < waitMaxMs) return
        if (bytes - freedBytes + first.bytes <= maxBytes) return
        if (unfinished.bytes <= SMALL_BYTES) continue
        freedBytes += unfinished.bytes
        close(connection, 'a packet is unfinished for long, and others wait for its memory')
      }
    },
  }
}
