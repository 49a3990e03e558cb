import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createIdentityCheck, identityOf } from '../../../gateway/store/file/file-identity.ts'
import { Fenced } from '../state/state.ts'
import type { MergedFile } from './compaction.ts'
import { writeAtomically } from './files/atomic-write.ts'
import type { DurableFilesystem } from './files/durable-filesystem.ts'
import { withFileLock } from './files/file-lock.ts'
import { utcDateOf } from './files/paths.ts'
import { pathsOfIntent, readIntent, writeIntent } from './intent.ts'
import { dayFilePath, listDays, manifestFolder } from './manifest/day-files.ts'
import type { FileEntry, NextOffsets } from './manifest/entry.ts'
import type { EventInterval, EventSet } from './manifest/event-set.ts'
import { readChain } from './manifest/hash-chain.ts'
import { createManifestWriter, type ManifestWriter } from './manifest/writer.ts'
import { filesBefore, removeFiles } from './retention.ts'

/** A file that a commit adds to the archive. */
export type NewFile = FileEntry & { contents: Uint8Array }

/** The content of one commit. */
export type ArchiveCommit = {
  files: readonly NewFile[]
  events: EventInterval[]
  nextOffsets: NextOffsets
}

export type ArchivePartition = {
  /** The committed state: the next offset of each topic, and all archived events. */
  readonly committed: { readonly nextOffsets: NextOffsets; readonly events: EventSet }
  /**
   * Commits atomically. Rejects with Fenced when another process has taken ownership of the
   * partition since. Rejects with StateUnavailable while the disk is full; then the same commit may
   * be retried.
   */
  commit(commit: ArchiveCommit): Promise<void>
  /** Deletes the files that were committed before a day (YYYY-MM-DD). */
  deleteBefore(day: string): Promise<void>
  /** Replaces files by one file with the same events; rejects as `commit` does. */
  replace(merged: MergedFile): Promise<void>
}

export type ClaimOptions = {
  dir: string
  partition: number
  disk: DurableFilesystem
  /**
   * Called when the first line of a day, the seal, is written. A copy of the archive can be checked
   * against the hash of that line.
   */
  onSealed(partition: number, day: string, sha256: string): void
}

/**
 * Takes ownership of a partition of an archive: fences the previous owner, and removes the files of
 * an interrupted change. Rejects when the newest manifest file was changed; the error names the
 * line.
 */
export async function claimPartition(options: ClaimOptions): Promise<ArchivePartition> {
  const { dir, partition, disk } = options
  const onSealed = (day: string, sha256: string) => options.onSealed(partition, day, sha256)
  const folder = manifestFolder(dir, partition)
  await disk.createFolder(folder)
  const lockFile = join(folder, 'lock.db')
  const ownerFile = join(folder, 'owner')
  const owner = randomUUID()
  const manifest = await withFileLock(lockFile, async () => {
    await disk.write(ownerFile, Buffer.from(owner))
    return createManifestWriter({ folder, partition, disk, onSealed })
  })
  /** Whether a change may have been interrupted, by this owner or by the previous one. */
  let mayHaveLeftovers = true

  const removeLeftovers = async () => {
    const intent = await readIntent(folder)
    const isDone = !intent || intent.number <= manifest.number
    for (const path of isDone ? [] : pathsOfIntent(intent, dir)) await disk.remove(path)
    await manifest.truncate()
    await removeReplaced()
  }
  const removeReplaced = async () => {
    await removeFiles({ dir, disk }, manifest.replaced)
    manifest.replaced.length = 0
  }
  /** The lock, the owner and the manifest are opened by name, so each change checks the names. */
  const checkOf = () => createIdentityCheck([folder, ownerFile, dayFilePath(folder, manifest.day)])
  let checkFiles = checkOf()
  const asOwner = async (work: () => Promise<void>) => {
    // Without its folder, the lock could not be opened, and the error would not say why.
    if (identityOf(folder) === null) checkFiles()
    await withFileLock(lockFile, async () => {
      if ((await readFile(ownerFile, 'utf8')) !== owner) {
        throw new Fenced(`another process owns partition ${partition} of the archive now`)
      }
      checkFiles()
      if (mayHaveLeftovers) await removeLeftovers()
      mayHaveLeftovers = true
      await work()
      mayHaveLeftovers = false
      checkFiles = checkOf()
    })
  }
  await asOwner(async () => {})
  const place = { dir, partition, disk, folder }
  return { committed: manifest, ...changesOf(place, { manifest, asOwner, removeReplaced }) }
}

type PartitionPlace = Pick<ClaimOptions, 'dir' | 'partition' | 'disk'> & { folder: string }
type Ownership = {
  manifest: ManifestWriter
  /** Runs a change as the only owner. */
  asOwner(work: () => Promise<void>): Promise<void>
  /** Removes the files that compactions have replaced. */
  removeReplaced(): Promise<void>
}

function changesOf(
  { dir, partition, disk, folder }: PartitionPlace,
  { manifest, asOwner, removeReplaced }: Ownership,
): Pick<ArchivePartition, 'commit' | 'deleteBefore' | 'replace'> {
  const sealToday = async () => {
    const today = utcDateOf(Date.now())
    if (today > manifest.day) await manifest.seal(today)
  }
  return {
    commit: ({ files, events, nextOffsets }) =>
      asOwner(async () => {
        await sealToday()
        const number = manifest.number + 1
        if (files.length > 0) await addFiles({ dir, folder, disk, number }, files)
        const entries = files.map(({ contents: _, ...entry }) => entry)
        const line = { files: entries, came: events, next: nextOffsets }
        await manifest.append({ kind: 'commit', ...line })
      }),
    deleteBefore: day =>
      asOwner(async () => {
        const keptFrom = manifest.keptFrom ?? ''
        const days = (await listDays(folder)).filter(other => other >= keptFrom && other < day)
        if (days.length === 0) return
        const { named } = await readChain(dir, partition)
        const { files, rows } = filesBefore(named.values(), day)
        const intent = { number: manifest.number + 1, files: [], keptFrom: day }
        await writeIntent(disk, folder, intent)
        const names = files.map(({ name }) => name)
        await removeFiles({ dir, disk }, names)
        await manifest.append({ kind: 'let go', keptFrom: day, files: files.length, rows })
      }),
    replace: ({ file, replaced }) =>
      asOwner(async () => {
        await sealToday()
        await addFiles({ dir, folder, disk, number: manifest.number + 1 }, [file])
        const { contents: _, ...entry } = file
        await manifest.append({ kind: 'compact', files: [entry], replaced })
        await removeReplaced()
      }),
  }
}

const REASON_AND_CURE =
  'a topic that was deleted and created again reuses offsets. Set another consumers.archive.dir'

/**
 * Writes the files of a commit durably. The files become part of the archive when the line of the
 * commit is appended to the manifest.
 */
async function addFiles(
  {
    dir,
    folder,
    disk,
    number,
  }: { dir: string; folder: string; disk: DurableFilesystem; number: number },
  files: readonly NewFile[],
): Promise<void> {
  await writeIntent(disk, folder, { number, files: files.map(({ name }) => name) })
  const folders = new Set<string>()
  for (const { name, contents } of files) {
    const path = join(dir, name)
    // An archived file is never overwritten.
    if (existsSync(path)) throw new Error(`${path} exists already: ${REASON_AND_CURE}`)
    await disk.createFolder(dirname(path))
    await writeAtomically(disk, path, contents)
    folders.add(dirname(path))
  }
  for (const changed of folders) await disk.syncFolder(changed)
}
