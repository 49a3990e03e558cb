import type { Handover, Qos2Key } from '../mqtt/broker.ts'

const MESSAGE = 0
const QOS2_MESSAGE = 1
const RELEASE = 2
const FORGET = 3

/**
 * Packs handovers into one buffer, which is transferred to the writer thread without a second copy.
 * The layout of a handover, with sizes in bytes: its kind (1); for a message the time of receipt
 * (8), the topic and the payload; for a QoS 2 message or a release also the client id and the
 * packet id (4); for a forget the client id. Topic, payload and client id are each written as their
 * length (4) and their bytes.
 */
export function packHandovers(handovers: Handover[]): ArrayBuffer {
  let bytes = 0
  for (const handover of handovers) bytes += sizeBound(handover)
  const buffer = Buffer.from(new ArrayBuffer(bytes))
  let offset = 0
  const putBytes = (value: Buffer) => {
    offset = buffer.writeUInt32LE(value.length, offset)
    buffer.set(value, offset)
    offset += value.length
  }
  const putText = (value: string) => {
    const length = buffer.write(value, offset + 4)
    buffer.writeUInt32LE(length, offset)
    offset += 4 + length
  }
  const putQos2Key = ({ clientId, packetId }: Qos2Key) => {
    putText(clientId)
    offset = buffer.writeUInt32LE(packetId, offset)
  }
  for (const handover of handovers) {
    if (handover.kind === 'message') {
      offset = buffer.writeUInt8(handover.qos2Key ? QOS2_MESSAGE : MESSAGE, offset)
      offset = buffer.writeDoubleLE(handover.receivedAt, offset)
      putText(handover.topic)
      putBytes(handover.payload)
      if (handover.qos2Key) putQos2Key(handover.qos2Key)
    } else if (handover.kind === 'release') {
      offset = buffer.writeUInt8(RELEASE, offset)
      putQos2Key(handover.qos2Key)
    } else {
      offset = buffer.writeUInt8(FORGET, offset)
      putText(handover.clientId)
    }
  }
  return buffer.buffer
}

/**
 * Unpacks `count` handovers in their order. Payloads are views of `packed`, not copies.
 */
export function unpackHandovers(packed: ArrayBuffer, count: number): Handover[] {
  const buffer = Buffer.from(packed)
  let offset = 0
  const readBytes = () => {
    const length = buffer.readUInt32LE(offset)
    offset += 4 + length
    return buffer.subarray(offset - length, offset)
  }
  const readText = () => {
    const length = buffer.readUInt32LE(offset)
    offset += 4 + length
    return buffer.toString('utf8', offset - length, offset)
  }
  const readQos2Key = (): Qos2Key => {
    const clientId = readText()
    offset += 4
    return { clientId, packetId: buffer.readUInt32LE(offset - 4) }
  }
  return Array.from({ length: count }, () => {
    const kind = buffer.readUInt8(offset++)
    if (kind === RELEASE) return { kind: 'release', qos2Key: readQos2Key() }
    if (kind === FORGET) return { kind: 'forget', clientId: readText() }
    offset += 8
    const receivedAt = buffer.readDoubleLE(offset - 8)
    const topic = readText()
    const payload = readBytes()
    const qos2Key = kind === QOS2_MESSAGE ? readQos2Key() : null
    return { kind: 'message', topic, payload, receivedAt, qos2Key }
  })
}

/**
 * The largest size that the packed handover can have, in bytes. UTF-8 needs at most three bytes for
 * one UTF-16 unit.
 */
function sizeBound(handover: Handover): number {
  if (handover.kind === 'forget') return 5 + handover.clientId.length * 3
  const keyBytes = handover.qos2Key ? 8 + handover.qos2Key.clientId.length * 3 : 0
  if (handover.kind === 'release') return 1 + keyBytes
  return 17 + handover.topic.length * 3 + handover.payload.length + keyBytes
}
