import { crc32 } from 'node:zlib'

/** The CRC-32 of several parts in order, each preceded by nothing: join fields yourself. */
export function checksum(...parts: (string | Uint8Array)[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), 0)
}
