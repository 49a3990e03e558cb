import type { Random } from './random.ts'

/** A payload and the name of its shape. */
export type Payload = { shape: string; bytes: Buffer }

const repeat = (part: string, size: number) =>
  part.repeat(Math.max(1, Math.ceil(size / part.length)))

/** Texts of about `size` characters that a decoder may read more than once. */
const shapes: Record<string, (random: Random, size: number) => string> = {
  zeros: (random, size) => `1${repeat('0', size)}${random.pick(['', '1'])}e-${size}`,
  digits: (random, size) => repeat(random.pick(['9', '10', '12345', '0.1']), size),
  fraction: (random, size) => `0.${repeat(random.pick(['0', '3', '09']), size)}1`,
  exponent: (random, size) => `1${random.pick(['e', 'E', 'e-', 'e+'])}${repeat('1', size)}`,
  backslashes: (random, size) => `"${repeat(random.pick(['\\\\', '\\"', '\\', '\\u0022']), size)}"`,
  quotes: (random, size) => repeat(random.pick(['"', '"a"', '"",']), size),
  braces: (random, size) => repeat(random.pick(['{', '[', '{"a":', '[{', '}{']), size),
  spaces: (random, size) => `{"a"${repeat(random.pick([' ', '\t', '\n']), size)}:1,"a":2}`,
  keys: (random, size) =>
    `{${Array.from({ length: size / 8 }, (_, n) => `"${random.chance(0.9) ? `k${n}` : n}":1`).join()}}`,
  'equal keys': (random, size) => `{${repeat(random.pick(['"a":1,', '"\\u0061":1,']), size)}"a":1}`,
  'dotted keys': (_random, size) => `{"a":{${repeat('"b.c":1,', size)}"d":1},"a.d":1}`,
  'long keys': (_random, size) => `{"${repeat('k', size)}":{"${repeat('l', size)}":1}}`,
  numbers: (random, size) =>
    `{"a":[${repeat(random.pick(['1,', '1e5,', '12345678901234567890,']), size)}1]}`,
  'long numbers': (_random, size) => `{"a":[${repeat(`1${'0'.repeat(990)}1e-3,`, size)}1]}`,
  text: (random, size) =>
    JSON.stringify(repeat(random.pick(['x', 'é', '😀', '\u2028', '\ufeff']), size)),
  surrogates: (random, size) =>
    `"${repeat(random.pick(['\\ud83d\\ude00', '\\ud83d', '\\ude00']), size)}"`,
}

const tokens = [
  ...['{', '}', '[', ']', ':', ',', '"', '\\', '\\"', '"a"', '"b":', '"__proto__":', 'null'],
  ...['true', 'false', '-', '0', '1', '9', '.', 'e', 'E', '+', ' ', '1e308', '1e-400', '\\u0000'],
  ...['\u0000', '9007199254740993', '0.1', '-0', '1e400', '"ts":1', '"traceparent":""', '//'],
]

const readings = [
  '{"temperature":21.5}',
  '{"co2":412,"humidity":0.43,"motion":true,"unit":"ppm","nested":{"a":[1,2,{"b":null}]}}',
  '{"ts":1764547200000,"value":-12.75e-3,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}',
  '42',
  '"on"',
]

/** A payload: a hostile shape, tokens in any order, a changed reading, or random bytes. */
export function payloadOf(random: Random): Payload {
  const kind = random.below(10)
  if (kind < 3) {
    const most = random.chance(0.02) ? 128_000 : 2000
    const [shape, textOf] = random.pick(Object.entries(shapes))
    const text = textOf(random, random.size(most))
    const isWrapped = random.chance(0.3)
    return { shape, bytes: Buffer.from(isWrapped ? `{"w":${text}}` : text) }
  }
  if (kind < 6) {
    const count = random.size(200)
    const text = Array.from({ length: count }, () => random.pick(tokens)).join('')
    return { shape: 'tokens', bytes: Buffer.from(text) }
  }
  if (kind === 6) return { shape: 'bytes', bytes: random.bytes(random.size(300)) }
  const bytes = Buffer.from(random.pick(readings))
  for (let changes = random.below(4); changes > 0; changes--) {
    bytes[random.below(bytes.length)] = random.below(256)
  }
  return { shape: 'reading', bytes }
}
