export type PacketDeadlineLimits = {
  /** How many ms a packet may take from its fixed header to its last byte. */
  packetTimeoutMs: number
  /** How many ms a connection without keepalive may be silent. */
  idleMaxMs: number
}

type Watched = {
  packetAtMs: number
  /** Null while no packet is unfinished. */
  unfinishedSinceMs: number | null
  hasKeepalive: boolean
  close(reason: string): void
}

/** What the deadlines must know of a connection. */
export type WatchedPackets = {
  onConnect(keepaliveS: number): void
  onUnfinished(): void
  onPacket(): void
  remove(): void
}

/**
 * Closes connections with a packet that does not get complete, and silent connections whose client
 * asked for no keepalive (keepalive 0; the server may disconnect an inactive client at any time,
 * MQTT 3.1.1 section 3.1.2.10). `now` is the reading clock; `check` is to be called at its steps.
 */
export function createPacketDeadlines(limits: PacketDeadlineLimits, now: () => number) {
  const { packetTimeoutMs, idleMaxMs } = limits
  const all = new Set<Watched>()
  const checkOne = ({ unfinishedSinceMs, packetAtMs, hasKeepalive, close }: Watched) => {
    if (unfinishedSinceMs !== null && now() - unfinishedSinceMs > packetTimeoutMs) {
      close(`a packet was not complete after gateway.mqtt.packetTimeoutMs = ${packetTimeoutMs}`)
    } else if (!hasKeepalive && now() - packetAtMs > idleMaxMs) {
      close(`no packet for gateway.mqtt.idleMaxMs = ${idleMaxMs}, and no keepalive`)
    }
  }
  return {
    /** Watches a connection until `remove`. Before its CONNECT, it counts as with keepalive. */
    add(close: (reason: string) => void): WatchedPackets {
      const watched: Watched = {
        ...{ packetAtMs: now(), unfinishedSinceMs: null, hasKeepalive: true, close },
      }
      all.add(watched)
      return {
        onConnect(keepaliveS) {
          watched.hasKeepalive = keepaliveS > 0
        },
        onUnfinished() {
          watched.unfinishedSinceMs ??= now()
        },
        onPacket() {
          watched.unfinishedSinceMs = null
          watched.packetAtMs = now()
        },
        remove: () => void all.delete(watched),
      }
    },
    check(): void {
      for (const watched of all) checkOne(watched)
    },
  }
}
