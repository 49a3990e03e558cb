import { createHash } from 'node:crypto'

const WORD = 2 ** 48

/**
 * Returns the function that makes the ids of one epoch: a UUIDv8 (RFC 9562, section 5.8) whose high
 * bits are from SHA-256 of (gateway, epoch) and whose low 62 bits are the sequence. An event that
 * is sent a second time therefore has the same id, and the ids of neighbouring events share their
 * first half, which compresses well. Sequences are whole numbers from 0 to 2^53 - 1.
 */
export function createEventIds(gateway: string, epoch: number): (sequence: number) => string {
  const hash = createHash('sha256').update(`${gateway}\u0000${epoch}`).digest('hex')
  const head = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(12, 15)}-`
  return sequence => {
    const high = Math.floor(sequence / WORD)
    const low = (sequence - high * WORD).toString(16).padStart(12, '0')
    return `${head}${(0x8000 + high).toString(16)}-${low}`
  }
}
