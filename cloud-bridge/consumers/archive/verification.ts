import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { partitionInPath } from './files/paths.ts'
import { pathsOfIntent, readIntent } from './intent.ts'
import { listPartitions, manifestFolder } from './manifest/day-files.ts'
import { sha256 } from './manifest/entry.ts'
import { type ManifestChain, type NamedFile, readChain } from './manifest/hash-chain.ts'
import { rowCountOf } from './parquet/parquet.ts'

/** The last line of a partition's manifest: all before it follows from its hash. */
export type ManifestHead = { partition: number; number: number; sha256: string }

export type ArchiveVerification = {
  partitions: (ManifestHead & { files: number; events: number; keptFrom: string | null })[]
  /** What is not as it was committed: each names the file or the line. */
  faults: string[]
  /** What a kill left and the next claim removes. */
  remarks: string[]
}

/** What the manifests lie beneath. */
const MANIFESTS = 'manifest'

/**
 * Compares an archive with its manifests, file by file, and these with themselves; nothing is
 * changed, and the archive may be at work meanwhile. `heads` were kept elsewhere: whoever wrote all
 * anew cannot have those hashes. Null when there is no archive.
 */
export async function verifyArchive(
  dir: string,
  heads: readonly ManifestHead[],
): Promise<ArchiveVerification | null> {
  // Before the manifests: what is committed meanwhile is in them, and no file too many.
  const found = new Set(await filesIn(dir))
  const proof: ArchiveVerification = { partitions: [], faults: [], remarks: [] }
  const partitions = await listPartitions(dir)
  if (found.size === 0 && partitions.length === 0) return null
  for (const partition of partitions) {
    const chain = await readChain(dir, partition)
    await compare({ dir, partition, chain, found, proof })
    for (const head of heads.filter(one => one.partition === partition)) {
      if (chain.hashes.get(head.number) === head.sha256) continue
      const which = `line #${head.number} with the hash ${head.sha256}`
      proof.faults.push(`partition ${partition}: ${which} is not in the manifest any more`)
    }
    const { last, named, rows: events, keptFrom } = chain
    proof.partitions.push({ partition, ...last, files: named.size, events, keptFrom })
  }
  for (const { partition } of heads.filter(one => !partitions.includes(one.partition))) {
    proof.faults.push(`partition ${partition}: its manifest is missing`)
  }
  for (const name of found) proof.faults.push(`${name}: added, no manifest names it`)
  return proof
}

type Comparison = {
  dir: string
  partition: number
  chain: ManifestChain
  found: Set<string>
  proof: ArchiveVerification
}

async function compare({ dir, partition, chain, found, proof }: Comparison): Promise<void> {
  proof.faults.push(...chain.faults)
  proof.remarks.push(...chain.remarks)
  for (const file of chain.named.values()) {
    found.delete(file.name)
    const fault = await faultOf(dir, file)
    if (fault === null) continue
    const intent = await readIntent(manifestFolder(dir, partition))
    if (fault === MISSING && file.day < (intent?.keptFrom ?? '')) continue
    proof.faults.push(`${file.name}: ${fault} (${file.line})`)
  }
  const intent = await readIntent(manifestFolder(dir, partition))
  for (const path of intent && intent.number > chain.last.number
    ? pathsOfIntent(intent, '.')
    : []) {
    if (!found.delete(path)) continue
    proof.remarks.push(
      `${path}: of a commit that broke off or is under way; the next claim removes it`,
    )
  }
  // What was let go since the folders were read is gone by now.
  for (const name of [...found].filter(one => partitionInPath(one) === partition)) {
    if ((await read(join(dir, name))) === null) found.delete(name)
  }
}

const MISSING = 'missing'

async function faultOf(dir: string, { name, ...file }: NamedFile): Promise<string | null> {
  const bytes = await read(join(dir, name))
  if (bytes === null) return MISSING
  if (sha256(bytes) !== file.sha256) return 'changed since it was committed'
  const rows = rowCountOf(bytes)
  return rows === file.rows ? null : `has ${rows} events and not ${file.rows}`
}

async function read(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Every file besides the manifests. */
async function filesIn(dir: string): Promise<string[]> {
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

/** What a verification came to, for an operator's eyes. */
export function verificationText({ partitions, faults, remarks }: ArchiveVerification): string {
  const lines = partitions.map(({ partition, files, events, keptFrom, ...head }) => {
    const letGo = keptFrom === null ? '' : `; what was committed before ${keptFrom} was let go`
    const many = `${number.format(files)} files, ${number.format(events)} events`
    return `partition ${partition}: ${many}${letGo}; line #${head.number} ${head.sha256}`
  })
  const isWhole = faults.length === 0
  return [
    ...lines,
    ...remarks.map(one => `left over: ${one}`),
    ...faults.map(one => `NOT AS COMMITTED: ${one}`),
    isWhole ? 'everything is as it was committed' : `${faults.length} not as committed`,
  ].join('\n')
}
