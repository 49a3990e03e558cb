// The part of DER (ITU-T X.690) that certificates use.

/** Encodes a value after its tag and length. */
export function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const value = Buffer.concat(parts)
  if (value.length < 0x80) return Buffer.concat([Buffer.of(tag, value.length), value])
  const length = Buffer.from(hexOf(value.length), 'hex')
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, value])
}

export const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts)
export const set = (...parts: Uint8Array[]) => der(0x31, ...parts)
export const octets = (value: Uint8Array) => der(0x04, value)
export const utf8 = (text: string) => der(0x0c, Buffer.from(text))
export const truth = der(0x01, Buffer.of(0xff))

/** A whole number, given as its bytes, of which the first is 1 to 127: no zeros, no sign. */
export const integer = (bytes: Uint8Array) => der(0x02, bytes)

/** A bit string of whole bytes. */
export const bits = (value: Uint8Array) => der(0x03, Buffer.of(0), value)

/** A time before 2050, to the second. */
export const moment = (at: Date) =>
  der(0x17, Buffer.from(`${at.toISOString().replace(/\D/g, '').slice(2, 14)}Z`))

/** An object identifier such as '2.5.4.3'. */
export function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

// Base 128, most significant first; the high bit marks all bytes but the last.
function base128(arc: number): number[] {
  const digits = [arc & 0x7f]
  for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
  return digits
}

function hexOf(length: number): string {
  const hex = length.toString(16)
  return hex.length % 2 === 0 ? hex : `0${hex}`
}
