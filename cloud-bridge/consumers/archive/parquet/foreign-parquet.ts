import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet'

/**
 * Reads a Parquet file of another system: the names of its columns, and its rows with values as
 * hyparquet gives them (times as Date, 64-bit integers as BigInt). Rejects when the bytes are no
 * Parquet file, or use a compression that is not supported (LZO, LZ4).
 */
export async function readForeignParquet(
  bytes: Uint8Array,
): Promise<{ columns: string[]; rows: Record<string, unknown>[] }> {
  const file = new Uint8Array(bytes).buffer
  const { children } = parquetSchema(parquetMetadata(file))
  const rows = await parquetReadObjects({
    file,
    compressors: {
      ZSTD: input => zstdDecompressSync(input),
      GZIP: input => gunzipSync(input),
      BROTLI: input => brotliDecompressSync(input),
    },
  })
  return { columns: children.map(({ element }) => element.name), rows }
}
