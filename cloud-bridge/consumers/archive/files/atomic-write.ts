import { basename, dirname, join } from 'node:path'
import type { DurableFilesystem } from './durable-filesystem.ts'

/**
 * The path of a file until the file is complete. Hive, Spark and pyarrow ignore names that begin
 * with an underscore.
 */
export const temporaryPathOf = (path: string): string =>
  join(dirname(path), `_${basename(path)}.part`)

/**
 * Writes a file under a temporary name and renames it once it is complete. The name is durable only
 * after the caller has synced the folder.
 */
export async function writeAtomically(
  disk: DurableFilesystem,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await disk.write(temporaryPathOf(path), bytes)
  await disk.rename(temporaryPathOf(path), path)
}
