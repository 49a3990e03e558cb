import { basename, dirname, join } from 'node:path'
import type { DurableFilesystem } from './durable-filesystem.ts'

/** Where a file is written before it is complete: Hive, Spark and pyarrow ignore such a name. */
export const temporaryPathOf = (path: string): string =>
  join(dirname(path), `_${basename(path)}.part`)

/**
 * Writes a file under a temporary name and renames it once it is complete. The name is durable once
 * the folder is synced.
 */
export async function writeAtomically(
  disk: DurableFilesystem,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await disk.write(temporaryPathOf(path), bytes)
  await disk.rename(temporaryPathOf(path), path)
}
