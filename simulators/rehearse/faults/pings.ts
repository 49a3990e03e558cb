import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** MQTT 3.1.1, section 3.1: clean session, no keep-alive, client id assigned by the server. */
const CONNECT = Buffer.from('100c00044d5154540402000000' + '00', 'hex')
const PINGREQ = Buffer.from('c000', 'hex')
const PING_EVERY_MS = 50

/**
 * Connects to an MQTT broker and pings it until disposed, one ping at a time. `drainTimesMs`
 * returns the response times since the call before, in ms.
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
