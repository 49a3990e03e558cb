import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A CONNECT packet of MQTT 3.1.1 (section 3.1): clean session, no keep-alive, and an empty client
 * id, so that the server assigns one.
 */
const CONNECT = Buffer.from('100c00044d5154540402000000' + '00', 'hex')
const PINGREQ = Buffer.from('c000', 'hex')
const PING_EVERY_MS = 50

/**
 * Connects to an MQTT broker and pings the broker until disposed, one ping at a time.
 * `drainTimesMs` returns the response times since its previous call, in ms.
 */
export async function startPings(at: { host: string; port: number }) {
  const socket = connect(at)
  await once(socket, 'connect')
  socket.write(CONNECT)
  await once(socket, 'data')
  const ending = new AbortController()
  let timesMs: number[] = []
  const pinging = (async () => {
    while (!ending.signal.aborted) {
      const sentMs = performance.now()
      socket.write(PINGREQ)
      await once(socket, 'data', ending)
      timesMs.push(performance.now() - sentMs)
      await sleep(PING_EVERY_MS, undefined, ending)
    }
  })().catch((error: Error) => {
    if (!ending.signal.aborted) throw error
  })
  return {
    drainTimesMs(): number[] {
      const drained = timesMs
      timesMs = []
      return drained
    },
    async [Symbol.asyncDispose](): Promise<void> {
      ending.abort()
      await pinging
      socket.destroy()
    },
  }
}
