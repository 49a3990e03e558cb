import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** MQTT 3.1.1, section 3.1: clean session, no keep-alive, the server chooses the client's id. */
const CONNECT = Buffer.from('100c00044d5154540402000000' + '00', 'hex')
const PINGREQ = Buffer.from('c000', 'hex')
const EVERY_MS = 50

/**
 * Connects and pings until it is disposed; `takeTimes` gives how long each answer took since the
 * call before, in ms. One ping is out at a time.
 */
export async function startPings(at: { host: string; port: number }) {
  const socket = connect(at)
  await once(socket, 'connect')
  socket.write(CONNECT)
  await once(socket, 'data')
  const ending = new AbortController()
  let times: number[] = []
  const pinging = (async () => {
    while (!ending.signal.aborted) {
      const since = performance.now()
      socket.write(PINGREQ)
      await once(socket, 'data', ending)
      times.push(performance.now() - since)
      await sleep(EVERY_MS, undefined, ending)
    }
  })().catch((error: Error) => {
    if (!ending.signal.aborted) throw error
  })
  return {
    takeTimes(): number[] {
      const taken = times
      times = []
      return taken
    },
    async [Symbol.asyncDispose](): Promise<void> {
      ending.abort()
      await pinging
      socket.destroy()
    },
  }
}
