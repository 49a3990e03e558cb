const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
const BITS_PER_CHARACTER = 5
const CHARACTERS = 8

/**
 * Draws the id of a gateway without a configured id: `gateway-` and the first 40 of the 128 random
 * bits of its store's id, in base32 (RFC 4648, section 6, in lower case). The id follows from the
 * store, so a store whose file is lost and whose bell is left keeps its gateway.
 */
export function drawGatewayId(store: Buffer): string {
  const bits = store.readUIntBE(0, 5)
  const characters = Array.from({ length: CHARACTERS }, (_, index) => {
    const shift = BITS_PER_CHARACTER * (CHARACTERS - 1 - index)
    return BASE32[Math.floor(bits / 2 ** shift) % BASE32.length]
  })
  return `gateway-${characters.join('')}`
}
