import { zstdCompressSync } from 'node:zlib'

/** What cannot be compressed grows by less. */
const SPARE_BYTES = 512

/**
 * Compresses a partition's part of a batch, most of which are small: in one chunk that holds the
 * result, because the default of 16 KiB is garbage each time, and with its length told beforehand,
 * for which zstd takes less memory. To hand it to another thread and back would take longer.
 */
export function compressZstd(plain: Buffer): Buffer {
  const chunkSize = plain.length + SPARE_BYTES
  return zstdCompressSync(plain, { chunkSize, pledgedSrcSize: plain.length })
}
