import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExitCode } from '../../../config/process/exit-codes.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { sha256 } from './manifest/entry.ts'
import { type NamedFile, readChain } from './manifest/hash-chain.ts'
import type { ArchivedEvent } from './parquet/columns.ts'
import { readParquet } from './parquet/parquet.ts'

/** A file or a line of the archive is not as it was committed; the message names the place. */
export class NotAsCommitted extends Error {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
}

/** The error of a command for a folder without an archive; `key` says where to name the folder. */
export const createNoArchiveError = (dir: string, key: string): CannotStart =>
  new CannotStart(`there is no archive at ${dir}: name its directory in ${key}`)

/**
 * The files of a partition, in the order of their offsets; a compaction names files of earlier
 * events later. Rejects with NotAsCommitted when a line of the manifest was changed.
 */
export async function listCommittedFiles(dir: string, partition: number): Promise<NamedFile[]> {
  const { named, faults } = await readChain(dir, partition)
  if (faults.length > 0) throw new NotAsCommitted(faults.join('\n'))
  return [...named.values()].sort((a, b) => a.first - b.first)
}

/** The events of a file. Rejects with NotAsCommitted when the file was changed or removed. */
export async function readCommittedFile(dir: string, file: NamedFile): Promise<ArchivedEvent[]> {
  const { name, line } = file
  const bytes = await readFile(join(dir, name)).catch((error: Error) => {
    throw new NotAsCommitted(`${name} cannot be read: ${error.message} (${line})`, { cause: error })
  })
  if (sha256(bytes) === file.sha256) return readParquet(bytes)
  throw new NotAsCommitted(`${name} was changed since it was committed (${line})`)
}
