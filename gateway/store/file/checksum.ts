import { crc32 } from 'node:zlib'

/**
 * The CRC-32 of several parts in order. Nothing separates the parts: separate fields yourself. A
 * damaged row may hold a value of any type in place of bytes; its text then gives another checksum.
 */
export function checksum(...parts: (string | Uint8Array)[]): number {
  return parts.reduce((sum, part) => crc32(isBytes(part) ? part : String(part), sum), 0)
}

const isBytes = (part: unknown) => typeof part === 'string' || part instanceof Uint8Array
