// MQTT 3.1.1 packets without a client library, because a library would use more CPU than the
// broker.
import { createValues, locationOf } from './readings.ts'

/** The first message number: all message numbers have ten digits. */
export const FIRST_NUMBER = 1_000_000_000
export const CONNACK = [0x20, 2, 0, 0]
export const DISCONNECT = Buffer.from([0xe0, 0])
export const PUBACK_BYTES = 4
export const PUBACK = 0x40

/** CONNECT with a clean session and no keepalive. */
export function connectPacket(client: string): Buffer {
  const body = [text('MQTT'), Buffer.from([4, 2, 0, 0]), text(client)]
  return packet(0x10, Buffer.concat(body))
}

/** The packet id of the n-th message of a connection. */
export const packetIdOf = (n: number) => (n % 65_535) + 1

const payload = [
  '{"bench_id":0000000000,"bench_ts":0000000000000000,"temperature":00.00,"humidity":00.00',
  ',"co2":000,"occupancy":0,"battery":00}',
].join('')
export const PAYLOAD_BYTES = payload.length
const offsetOf = (name: string) => payload.indexOf(`"${name}":`) + name.length + 3

/**
 * A ring of encoded QoS 1 PUBLISH packets of one device. `write` only replaces digits of a packet.
 * All packets have the same length, so that one socket write sends neighbouring packets.
 */
export function createPacketRing(device: number, slots: number) {
  const next = createValues(device)
  const { topic } = locationOf(device)
  const body = Buffer.concat([text(topic), Buffer.from([0, 0]), Buffer.from(payload)])
  const template = packet(0x32, body)
  const packetBytes = template.length
  const ring = Buffer.concat(Array.from({ length: slots }, () => template))
  const idAt = packetBytes - PAYLOAD_BYTES - 2
  const fields = ['bench_id', 'bench_ts', 'temperature', 'humidity', 'co2', 'occupancy', 'battery']
  const [number, time, temperature, humidity, co2, occupancy, battery] = fields.map(
    name => packetBytes - PAYLOAD_BYTES + offsetOf(name),
  ) as [number, number, number, number, number, number, number]
  const put = (at: number, width: number, value: number) => {
    let rest = value | 0
    for (let digit = at + width - 1; digit >= at; digit--) {
      ring[digit] = 48 + (rest % 10)
      rest = (rest / 10) | 0
    }
  }
  const putHundredths = (at: number, value: number) => {
    put(at, 2, value / 100)
    put(at + 3, 2, value % 100)
  }

  return {
    packetBytes,
    /** Writes the device's n-th message into a slot, with its message number and publish time. */
    write(slot: number, n: number, messageNumber: number, atUs: number): void {
      const from = slot * packetBytes
      const values = next()
      ring.writeUInt16BE(packetIdOf(n), from + idAt)
      put(from + number, 10, FIRST_NUMBER + messageNumber)
      // Writes the time in two halves, because divisions of 32-bit integers are ten times faster.
      put(from + time, 8, atUs / 1e8)
      put(from + time + 8, 8, atUs % 1e8)
      putHundredths(from + temperature, values.temperature)
      putHundredths(from + humidity, values.humidity)
      put(from + co2, 3, values.co2)
      put(from + occupancy, 1, values.occupancy)
      put(from + battery, 2, values.battery)
    },
    /** The bytes of neighbouring slots, valid until a slot is written again. */
    bytes: (slot: number, count: number) =>
      ring.subarray(slot * packetBytes, (slot + count) * packetBytes),
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}

function packet(header: number, body: Buffer): Buffer {
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7]
  return Buffer.concat([Buffer.from([header, ...length]), body])
}
