import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { partitionInPath } from './files/paths.ts'
import { pathsOfIntent, readIntent } from './intent.ts'
import { listPartitions, manifestFolder } from './manifest/day-files.ts'
import { sha256 } from './manifest/entry.ts'
import {
  LEFTOVER_CURE,
  type ManifestChain,
  type NamedFile,
  readChain,
} from './manifest/hash-chain.ts'
import { rowCountOf } from './parquet/parquet.ts'

/** The last line of a partition's manifest: its hash proves all lines before. */
export type ManifestHead = { partition: number; number: number; sha256: string }

/** The result of a verification; `./sluice archive verify --json` prints it. */
export type ArchiveVerification = {
  partitions: (ManifestHead & { files: number; events: number; keptFrom: string | null })[]
  /** Each difference from the committed state, with the file or the line. */
  faults: string[]
  /** Leftovers of a crash. The next member that takes ownership of the partition removes them. */
  remarks: string[]
}

/** The folder of the manifests. */
const MANIFESTS = 'manifest'

/**
 * Verifies an archive: compares all files with the manifests, and the manifests with themselves.
 * Changes nothing; the archive may be in use. `heads` are the last lines of an earlier
 * verification, stored elsewhere: somebody who rewrites the complete archive cannot produce their
 * hashes. Returns null when there is no archive: neither a manifest nor a file of an archive.
 */
export async function verifyArchive(
  dir: string,
  heads: readonly ManifestHead[],
): Promise<ArchiveVerification | null> {
  // The files are listed before the manifests are read, so a manifest names every listed file that
  // is committed in between.
  const unnamed = new Set(await listFiles(dir))
  const result: ArchiveVerification = { partitions: [], faults: [], remarks: [] }
  const partitions = await listPartitions(dir)
  const hasFile = [...unnamed].some(name => partitionInPath(name) !== null)
  if (!hasFile && partitions.length === 0) return null
  for (const partition of partitions) {
    const chain = await readChain(dir, partition)
    await verifyFiles({ dir, partition, chain, unnamed, result })
    for (const head of heads.filter(known => known.partition === partition)) {
      if (chain.hashes.get(head.number) === head.sha256) continue
      const line = `line #${head.number} with the hash ${head.sha256}`
      result.faults.push(`partition ${partition}: ${line} is no longer in the manifest`)
    }
    const { last, named, rows: events, keptFrom } = chain
    result.partitions.push({ partition, ...last, files: named.size, events, keptFrom })
  }
  for (const { partition } of heads.filter(head => !partitions.includes(head.partition))) {
    result.faults.push(`partition ${partition}: the manifest is missing`)
  }
  for (const name of unnamed) result.faults.push(`${name}: added, no manifest names it`)
  return result
}

type PartitionFiles = {
  dir: string
  partition: number
  chain: ManifestChain
  /** The files that no manifest has named so far. */
  unnamed: Set<string>
  result: ArchiveVerification
}

async function verifyFiles(files: PartitionFiles): Promise<void> {
  const { dir, partition, chain, unnamed, result } = files
  result.faults.push(...chain.faults, ...chain.additions)
  result.remarks.push(...chain.remarks)
  const folder = manifestFolder(dir, partition)
  const missing: NamedFile[] = []
  for (const file of chain.named.values()) {
    unnamed.delete(file.name)
    const fault = await findFault(dir, file)
    if (fault === MISSING) missing.push(file)
    else if (fault !== null) result.faults.push(`${file.name}: ${fault} (${file.line})`)
  }
  const intent = await readIntent(folder)
  const isUnfinished = intent && intent.number > chain.last.number
  for (const path of isUnfinished ? pathsOfIntent(intent, '.') : []) {
    if (!unnamed.delete(path)) continue
    result.remarks.push(
      `${path}: from a commit that is in progress or was interrupted; ${LEFTOVER_CURE}`,
    )
  }
  for (const name of chain.replaced) {
    if (!unnamed.delete(name) || (await readIfExists(join(dir, name))) === null) continue
    result.remarks.push(`${name}: replaced by a compaction; ${LEFTOVER_CURE}`)
  }
  const own = [...unnamed].filter(path => partitionInPath(path) === partition)
  if (missing.length === 0 && own.length === 0) return
  // The manifest may have changed since it was read: commits add files, compactions replace some.
  const now = await readChain(dir, partition)
  for (const file of missing) {
    const isDeleted = file.day < (intent?.keptFrom ?? '') || file.day < (now.keptFrom ?? '')
    if (isDeleted || now.replaced.has(file.name)) continue
    result.faults.push(`${file.name}: ${MISSING} (${file.line})`)
  }
  for (const name of own) {
    const isGone = (await readIfExists(join(dir, name))) === null
    if (now.named.has(name) || isGone) unnamed.delete(name)
  }
}

const MISSING = 'missing'

async function findFault(dir: string, { name, ...file }: NamedFile): Promise<string | null> {
  const bytes = await readIfExists(join(dir, name))
  if (bytes === null) return MISSING
  if (sha256(bytes) !== file.sha256) return 'changed since it was committed'
  const rows = rowCountOf(bytes)
  return rows === file.rows ? null : `has ${rows} events instead of ${file.rows}`
}

async function readIfExists(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** All files except the manifests. */
async function listFiles(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => !entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name).slice(join(dir, '/').length))
      .filter(name => !name.startsWith(join(MANIFESTS, '/')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

const number = new Intl.NumberFormat('en-US')

/** The result of a verification as lines for an operator. */
export function verificationText({ partitions, faults, remarks }: ArchiveVerification): string {
  const lines = partitions.map(({ partition, files, events, keptFrom, ...head }) => {
    const deleted = keptFrom === null ? '' : `; files committed before ${keptFrom} are deleted`
    const counts = `${number.format(files)} files, ${number.format(events)} events`
    return `partition ${partition}: ${counts}${deleted}; line #${head.number} ${head.sha256}`
  })
  return [
    ...lines,
    ...remarks.map(remark => `left over: ${remark}`),
    ...faults.map(fault => `NOT AS COMMITTED: ${fault}`),
    faults.length === 0
      ? 'everything is as it was committed'
      : `${faults.length} files or lines are not as committed`,
  ].join('\n')
}
