import type { Handover, Qos2Key } from '../mqtt/broker.ts'

const MESSAGE = 0
const MESSAGE_ONCE = 1
const RELEASE = 2
const FORGET = 3

/**
 * Packs handovers into one buffer that is given to the writer thread without being copied again.
 * Layout of each: kind (1), then for messages received (8), topic, payload (length 4 and bytes
 * each), for QoS 2 client and packet id (4).
 */
export function packHandovers(handovers: Handover[]): ArrayBuffer {
  let bytes = 0
  for (const handover of handovers) bytes += sizeBound(handover)
  const buffer = Buffer.from(new ArrayBuffer(bytes))
  let at = 0
  const putBytes = (value: Buffer) => {
    at = buffer.writeUInt32LE(value.length, at)
    buffer.set(value, at)
    at += value.length
  }
  const putText = (value: string) => {
    const length = buffer.write(value, at + 4)
    buffer.writeUInt32LE(length, at)
    at += 4 + length
  }
  const putOnce = ({ client, packet }: Qos2Key) => {
    putText(client)
    at = buffer.writeUInt32LE(packet, at)
  }
  for (const handover of handovers) {
    if (handover.kind === 'message') {
      at = buffer.writeUInt8(handover.once ? MESSAGE_ONCE : MESSAGE, at)
      at = buffer.writeDoubleLE(handover.receivedAt, at)
      putText(handover.topic)
      putBytes(handover.payload)
      if (handover.once) putOnce(handover.once)
    } else if (handover.kind === 'release') {
      at = buffer.writeUInt8(RELEASE, at)
      putOnce(handover.once)
    } else {
      at = buffer.writeUInt8(FORGET, at)
      putText(handover.client)
    }
  }
  return buffer.buffer
}

/** Reads the handovers back in order; `count` is how many were packed. Payloads are views. */
export function unpackHandovers(packed: ArrayBuffer, count: number): Handover[] {
  const buffer = Buffer.from(packed)
  let at = 0
  const takeBytes = () => {
    const length = buffer.readUInt32LE(at)
    at += 4 + length
    return buffer.subarray(at - length, at)
  }
  const takeText = () => {
    const length = buffer.readUInt32LE(at)
    at += 4 + length
    return buffer.toString('utf8', at - length, at)
  }
  const takeOnce = (): Qos2Key => {
    const client = takeText()
    at += 4
    return { client, packet: buffer.readUInt32LE(at - 4) }
  }
  return Array.from({ length: count }, () => {
    const kind = buffer.readUInt8(at++)
    if (kind === RELEASE) return { kind: 'release', once: takeOnce() }
    if (kind === FORGET) return { kind: 'forget', client: takeText() }
    at += 8
    const receivedAt = buffer.readDoubleLE(at - 8)
    const topic = takeText()
    const payload = takeBytes()
    const once = kind === MESSAGE_ONCE ? takeOnce() : null
    return { kind: 'message', topic, payload, receivedAt, once }
  })
}

/** An upper bound in bytes: UTF-8 takes at most three bytes for one UTF-16 unit. */
function sizeBound(handover: Handover): number {
  if (handover.kind === 'forget') return 5 + handover.client.length * 3
  const once = handover.once ? 8 + handover.once.client.length * 3 : 0
  if (handover.kind === 'release') return 1 + once
  return 17 + handover.topic.length * 3 + handover.payload.length + once
}
