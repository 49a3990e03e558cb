import { zstdCompressSync } from 'node:zlib'

/** Incompressible data grows by less than this. */
const MAX_GROWTH_BYTES = 512

/**
 * Compresses the records of one partition in a batch. Most inputs are small, so one chunk holds the
 * whole result (the default chunk of 16 KiB would be garbage each time), and the pledged size lets
 * zstd allocate less memory. Handing the work to another thread would take longer than the work.
 */
export function compressZstd(plain: Buffer): Buffer {
  const chunkSize = plain.length + MAX_GROWTH_BYTES
  return zstdCompressSync(plain, { chunkSize, pledgedSrcSize: plain.length })
}
