import { header, packet, packetTypes, text, word } from '../gateway/mqtt/wire.ts'
import type { Random } from './random.ts'

/** The client ids of sessions that continue; all other connections have a clean session. */
export const sessionIds = Array.from({ length: 20 }, (_, n) => `session-${n}`)

const levels = ['building', 'hq', 'zone', 'z1', 'z2', 'sensor', 'd', '', '$SYS', 'é', '😀']
const badTexts = ['ff', '610062', 'eda080', 'c080', 'f4908080', '01', 'efbbbf', '7f'].map(hex =>
  Buffer.from(hex, 'hex'),
)
const payloads = [
  '{"n":1}',
  '1',
  '{"t":21.5,"on":true,"s":"x"}',
  '',
  'no JSON',
  '{"a":{"b":[1,2]}}',
]

/** A topic with a route. Only such topics are retained, so that few messages are retained. */
const routedTopic = (random: Random) => Buffer.from(`building/hq/zone/z${random.below(5)}/sensor/d`)

/** A topic name, or now and then bytes that are none. */
function topicText(random: Random): Buffer {
  if (random.chance(0.003)) return random.pick(badTexts)
  return random.chance(0.6) ? routedTopic(random) : Buffer.from(levelsOf(random, levels).join('/'))
}

/** A topic filter, or now and then bytes that are none. */
function filterText(random: Random): Buffer {
  if (random.chance(0.003)) return random.pick([...badTexts, Buffer.from('a#'), Buffer.from('+a')])
  const filter = levelsOf(random, [...levels, '+', '+'])
  return Buffer.from([...filter, ...(random.chance(0.3) ? ['#'] : [])].join('/'))
}

function levelsOf(random: Random, choices: readonly string[]): string[] {
  const count = random.chance(0.02) ? 1 + random.below(300) : 1 + random.below(6)
  const all = Array.from({ length: count }, () => random.pick(choices))
  return all.length === 1 && all[0] === '' ? ['', ''] : all
}

/** The CONNECT of a connection. */
export function connectPacketOf(random: Random, clientId: string, isClean: boolean): Buffer {
  const hasWill = random.chance(0.1)
  const hasUser = random.chance(0.1)
  const isRetained = random.chance(0.2)
  const will = hasWill ? 4 | (random.below(3) << 3) | (isRetained ? 32 : 0) : 0
  const willTopic = text(isRetained ? routedTopic(random) : topicText(random))
  const flags = (isClean ? 2 : 0) | will | (hasUser ? 128 | 64 : 0)
  return packet(
    ...['connect', 0, text('MQTT'), Buffer.from([4, flags]), word(random.below(60))],
    text(clientId),
    ...(hasWill ? [willTopic, text(random.pick(payloads))] : []),
    ...(hasUser ? [text('user'), text('password')] : []),
  )
}

/** A packet of any type that follows the specification, or nearly. */
export function packetOf(random: Random): Buffer {
  const id = word(random.chance(0.002) ? 0 : 1 + random.below(200))
  const kind = random.below(20)
  if (kind < 10) {
    const qos = random.below(3)
    const isRetained = random.chance(0.05)
    const topic = isRetained ? routedTopic(random) : topicText(random)
    const dup = qos > 0 && random.chance(0.1) ? 8 : 0
    const flags = dup | (qos << 1) | (isRetained ? 1 : 0)
    const payload = random.chance(0.01) ? random.bytes(random.size(4000)) : random.pick(payloads)
    const known = qos > 0 ? [id] : []
    return packet('publish', flags, text(topic), ...known, Buffer.from(payload))
  }
  if (kind < 12) {
    const filters = Array.from({ length: 1 + random.below(3) }, () => [
      text(filterText(random)),
      Buffer.of(random.below(3)),
    ]).flat()
    return packet('subscribe', 2, id, ...filters)
  }
  if (kind === 12) return packet('unsubscribe', 2, id, text(filterText(random)))
  if (kind < 16) return packet('pubrel', 2, id)
  if (kind === 16) return packet('pingreq', 0)
  return packet(random.pick(['puback', 'pubrec', 'pubcomp']), 0, id)
}

const rightFlags: Record<string, number> = { pubrel: 2, subscribe: 2, unsubscribe: 2, publish: 4 }

const mutations: ((random: Random, bytes: Buffer) => Buffer)[] = [
  // A bit, or a byte, is changed.
  (random, bytes) =>
    replaced(bytes, random.below(bytes.length), byte => byte ^ (1 << random.below(8))),
  (random, bytes) => replaced(bytes, random.below(bytes.length), () => random.below(256)),
  // The fixed header: another type, other flags, another length.
  (random, bytes) => replaced(bytes, 0, byte => (byte & 15) | (random.below(16) << 4)),
  (random, bytes) => replaced(bytes, 0, byte => (byte & 240) | random.below(16)),
  (random, bytes) => replaced(bytes, 1, byte => byte + random.pick([-2, -1, 1, 2])),
  (random, bytes) => {
    const length = random.pick([0, 1, 2, 127, 128, 16_383, 16_384, 262_145, 268_435_455])
    return Buffer.concat([
      header(random.pick(packetTypes), bytes[0]! & 15, length),
      bytes.subarray(2),
    ])
  },
  // The end is missing, or there is more; with and without the right length.
  (random, bytes) => bytes.subarray(0, random.below(bytes.length)),
  (random, bytes) => withLength(bytes, bytes.subarray(2, 2 + random.below(bytes.length))),
  (random, bytes) =>
    withLength(bytes, Buffer.concat([bytes.subarray(2), random.bytes(random.size(20))])),
  // A part is sent twice, or is random.
  (random, bytes) => Buffer.concat([bytes, bytes.subarray(random.below(bytes.length))]),
  random => random.bytes(random.size(40)),
  // A packet with the right flags that is too short.
  random => {
    const type = random.pick(packetTypes)
    return packet(type, rightFlags[type] ?? 0, random.bytes(random.below(4)))
  },
]

/** A packet with one or several mutations. */
export function mutated(random: Random, bytes: Buffer): Buffer {
  let result: Buffer = bytes
  for (let count = random.size(3); count > 0 && result.length > 0; count--) {
    result = random.pick(mutations)(random, result)
  }
  return result
}

function replaced(bytes: Buffer, at: number, change: (byte: number) => number): Buffer {
  const copy = Buffer.from(bytes)
  if (at < copy.length) copy[at] = change(copy[at]!) & 255
  return copy
}

function withLength(bytes: Buffer, body: Buffer): Buffer {
  const type = packetTypes[(bytes[0]! >> 4) - 1] ?? 'pingreq'
  return packet(type, bytes[0]! & 15, body)
}

/** Splits bytes into the segments in which they are written to the socket. */
export function segmentsOf(random: Random, bytes: Buffer): Buffer[] {
  if (random.chance(0.7)) return [bytes]
  const segments: Buffer[] = []
  const most = random.pick([1, 3, 50, 1000])
  const isTiny = most === 1 && bytes.length > 400
  for (let at = 0; at < bytes.length; ) {
    const size = isTiny ? 50 : 1 + random.below(most)
    segments.push(bytes.subarray(at, at + size))
    at += size
  }
  return segments
}
