import { connect } from 'node:net'
import { sharedClockUs } from './clock.ts'
import {
  CONNACK,
  connectPacket,
  createPacketRing,
  DISCONNECT,
  PUBACK,
  PUBACK_BYTES,
  packetIdOf,
} from './packets.ts'

export type ConnectionOptions = {
  host: string
  port: number
  /** The number of the device; each connection is one device. */
  device: number
  /** The largest number of messages without PUBACK. */
  inFlight: number
  /** Returns the message number of the device's n-th message. */
  numberOf(n: number): number
  publishTimeUs(n: number, nowUs: number): number
  onAcknowledged(latencyUs: number): void
  onBroken(reason: string): void
}

export type Connection = Awaited<ReturnType<typeof openConnection>>

// The buffer into which all sockets read. Each socket's bytes are used up before another socket
// reads.
const inbox = Buffer.alloc(64 * 1024)

/** Connects one device. Resolves at the broker's CONNACK. */
export async function openConnection(options: ConnectionOptions) {
  const {
    host,
    port,
    device,
    inFlight,
    numberOf,
    publishTimeUs: momentOf,
    onAcknowledged,
    onBroken,
  } = options
  const ring = createPacketRing(device, inFlight)
  const momentsUs = new Float64Array(inFlight)
  const answer = Buffer.alloc(PUBACK_BYTES)
  let [received, due, sent, acknowledged] = [0, 0, 0, 0]
  let isOver = false
  const welcome = Promise.withResolvers<void>()

  const fail = (reason: string) => {
    if (isOver) return
    isOver = true
    socket.destroy()
    welcome.reject(new Error(reason))
    onBroken(`s${device}: ${reason}`)
  }
  const pump = () => {
    let left = Math.min(due - sent, inFlight - (sent - acknowledged))
    if (left <= 0) return
    const nowUs = sharedClockUs()
    while (left > 0) {
      // The broker has received an acknowledged message, so the slot of the message can be reused.
      const slot = sent % inFlight
      const count = Math.min(left, inFlight - slot)
      for (let index = slot; index < slot + count; index++, sent++) {
        const moment = momentOf(sent, nowUs)
        momentsUs[index] = moment
        ring.write(index, sent, numberOf(sent), moment)
      }
      socket.write(ring.bytes(slot, count))
      left -= count
    }
  }
  const onAnswer = (nowUs: number) => {
    if (received === PUBACK_BYTES) {
      if (CONNACK.some((byte, at) => answer[at] !== byte)) fail('the broker refused the connection')
      else welcome.resolve()
    } else if (answer[0] === PUBACK && answer.readUInt16BE(2) === packetIdOf(acknowledged)) {
      onAcknowledged(nowUs - momentsUs[acknowledged % inFlight]!)
      acknowledged++
    } else fail(`received ${answer.toString('hex')} in place of a PUBACK`)
  }
  const onBytes = (count: number) => {
    const nowUs = sharedClockUs()
    for (let at = 0; at < count; at++) {
      answer[received++ & (PUBACK_BYTES - 1)] = inbox[at]!
      if ((received & (PUBACK_BYTES - 1)) === 0) onAnswer(nowUs)
    }
    pump()
    return !isOver
  }
  const socket = connect({
    host,
    port,
    noDelay: true,
    onread: { buffer: inbox, callback: onBytes },
  })
  socket.on('error', error => fail(error.message))
  socket.on('close', () => fail('the broker closed the connection'))
  socket.write(connectPacket(`bench-s${device}`))
  await welcome.promise

  return {
    get acknowledged() {
      return acknowledged
    },
    /**
     * Raises the number of messages to publish to `total`, and sends as many as may be in flight.
     */
    publish(total: number): void {
      due = total
      pump()
    },
    close(): void {
      isOver = true
      socket.end(DISCONNECT)
    },
  }
}
