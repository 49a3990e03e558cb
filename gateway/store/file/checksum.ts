import { crc32 } from 'node:zlib'

/**
 * The CRC-32 of several parts in order. Nothing separates the parts, so the caller must separate
 * fields. A damaged row may contain a value of any type in place of bytes. The text of such a value
 * is used; its checksum differs from the stored one.
 */
export function checksum(...parts: (string | Uint8Array)[]): number {
  return parts.reduce((sum, part) => crc32(isBytes(part) ? part : String(part), sum), 0)
}

const isBytes = (part: unknown) => typeof part === 'string' || part instanceof Uint8Array
