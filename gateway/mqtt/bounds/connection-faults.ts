/** How many clients are remembered with their faults. */
const CLIENTS_MAX = 1000
/** A fault counts as the same loop when it repeats within this time. */
const LOOP_MS = 600_000
/** From how many repetitions on a fault is a loop: an alarm is raised and CONNECT is delayed. */
const LOOP_MIN = 3
const FIRST_DELAY_MS = 1000
/** How often the fault of one client is logged, and how many clients are logged in this time. */
const LOG_EVERY_MS = 60_000
const LOG_CLIENTS_MAX = 10
/** How many clients the alarm names. */
const NAMED_MAX = 5

/** Errors of the network, or of a device that only went away. */
const NETWORK_CODES = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'])
const NETWORK_MESSAGES = new Set(['keep alive timeout', 'connection closed'])

/** The gateway refused a message; the device is not at fault. */
export class MessageRefused extends Error {}

type ClientFault = { kind: string; reason: string; count: number; atMs: number; loggedAtMs: number }

export type ConnectionFaults = ReturnType<typeof createConnectionFaults>

/**
 * Remembers which clients break their connections by a fault of their own, such as a packet larger
 * than `gateway.mqtt.packetMaxBytes`. Such a client usually keeps the message, reconnects and sends
 * the message again, for ever. Faults of the network and refusals by the gateway do not count. At
 * most 1,000 clients are remembered, those with the newest faults. `log` is called at most once a
 * minute for a client, and for at most ten clients a minute. Times are monotonic.
 */
export function createConnectionFaults(
  delayMaxMs: number,
  log: (fields: object, text: string) => void,
) {
  const byClient = new Map<string, ClientFault>()
  const logged = { sinceMs: Number.NEGATIVE_INFINITY, clients: 0, suppressed: 0 }

  const mayLog = (nowMs: number): boolean => {
    if (nowMs - logged.sinceMs >= LOG_EVERY_MS)
      Object.assign(logged, { sinceMs: nowMs, clients: 0 })
    if (logged.clients++ < LOG_CLIENTS_MAX) return true
    logged.suppressed++
    return false
  }
  const loopOf = (client: string, nowMs: number): ClientFault | null => {
    const fault = byClient.get(client)
    return fault && fault.count >= LOOP_MIN && nowMs - fault.atMs < LOOP_MS ? fault : null
  }

  return {
    /** Records that an error ended the connection of a client. */
    record(client: string, error: Error & { code?: string }): void {
      if (error instanceof MessageRefused || NETWORK_MESSAGES.has(error.message)) return
      if (error.code !== undefined && NETWORK_CODES.has(error.code)) return
      const nowMs = performance.now()
      const reason = error.message
      const kind = reason.replace(/\d+/g, 'N')
      const known = byClient.get(client)
      const isRepeated = known?.kind === kind && nowMs - known.atMs < LOOP_MS
      const fault = isRepeated
        ? { ...known, reason, atMs: nowMs, count: known.count + 1 }
        : { kind, reason, atMs: nowMs, count: 1, loggedAtMs: Number.NEGATIVE_INFINITY }
      byClient.delete(client)
      byClient.set(client, fault)
      if (byClient.size > CLIENTS_MAX) byClient.delete(byClient.keys().next().value!)
      if (nowMs - fault.loggedAtMs < LOG_EVERY_MS || !mayLog(nowMs)) return
      fault.loggedAtMs = nowMs
      const { suppressed } = logged
      logged.suppressed = 0
      const fields = { client, reason, times: fault.count, ...(suppressed > 0 && { suppressed }) }
      log(fields, 'a fault of a client ended its connection')
    },
    /**
     * How many ms the CONNECT of a client waits: 0 for most clients; for a client in a loop from
     * one second on, twice as long after each repetition, up to `delayMaxMs`.
     */
    delayMs(client: string): number {
      const fault = loopOf(client, performance.now())
      if (!fault) return 0
      return Math.min(delayMaxMs, FIRST_DELAY_MS * 2 ** Math.min(30, fault.count - LOOP_MIN))
    },
    /** How many clients are in a loop now. */
    loops(): number {
      const nowMs = performance.now()
      return [...byClient.keys()].filter(client => loopOf(client, nowMs)).length
    },
    /** An alarm that names the clients in a loop, with their faults; empty without loops. */
    alarms(): string[] {
      const nowMs = performance.now()
      const loops = [...byClient].flatMap(([client]) => {
        const fault = loopOf(client, nowMs)
        return fault ? [{ client, ...fault }] : []
      })
      if (loops.length === 0) return []
      const named = loops
        .slice(-NAMED_MAX)
        .map(({ client, reason, count }) => `${JSON.stringify(client)}: ${reason} (${count} times)`)
      const more = loops.length > NAMED_MAX ? `, and ${loops.length - NAMED_MAX} more` : ''
      return [
        `clients reconnect into the same fault, and what they send later does not arrive: ` +
          `${named.join('; ')}${more}. See docs/operating/bounds.md`,
      ]
    },
  }
}
