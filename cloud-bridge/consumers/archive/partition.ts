import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Fenced } from '../state/state.ts'
import { writeAtomically } from './files/atomic-write.ts'
import type { DurableFilesystem } from './files/durable-filesystem.ts'
import { withFileLock } from './files/file-lock.ts'
import { utcDateOf } from './files/paths.ts'
import { pathsOfIntent, readIntent, writeIntent } from './intent.ts'
import { listDays, manifestFolder } from './manifest/day-files.ts'
import type { FileEntry, NextOffsets } from './manifest/entry.ts'
import type { EventInterval, EventSet } from './manifest/event-set.ts'
import { createManifestWriter } from './manifest/writer.ts'
import { deleteFilesOfDays } from './retention.ts'

/** A file on its way into the archive. */
export type NewFile = FileEntry & { contents: Uint8Array }

/** All that one commit brings. */
export type ArchiveCommit = { files: readonly NewFile[]; came: EventInterval[]; next: NextOffsets }

export type ArchivePartition = {
  /** What is committed: where to go on in each topic, and which events there are. */
  readonly committed: { readonly next: NextOffsets; readonly came: EventSet }
  /**
   * Makes a step part of the archive, whole or not at all. Rejects with Fenced when the partition
   * was claimed by another since, and with StateAway while the disk is full: then the same step may
   * be committed again.
   */
  commit(step: ArchiveCommit): Promise<void>
  /** Lets go of the files that were committed on the days before one. */
  deleteBefore(day: string): Promise<void>
}

export type ClaimOptions = {
  dir: string
  partition: number
  disk: DurableFilesystem
  /** A day is over: the hash that a copy of the archive can be held to. */
  onSealed(partition: number, day: string, sha256: string): void
}

/**
 * Takes a partition of an archive: whoever had it fails from now on, and what a commit that broke
 * off has left is removed. Rejects when the manifest was changed, with the line.
 */
export async function claimPartition(options: ClaimOptions): Promise<ArchivePartition> {
  const { dir, partition, disk } = options
  const onSealed = (day: string, sha256: string) => options.onSealed(partition, day, sha256)
  const folder = manifestFolder(dir, partition)
  await disk.makeFolder(folder)
  const lockFile = join(folder, 'lock.db')
  const ownerFile = join(folder, 'owner')
  const owner = randomUUID()
  const tip = await withFileLock(lockFile, async () => {
    await disk.write(ownerFile, Buffer.from(owner))
    return createManifestWriter({ folder, partition, disk, onSealed })
  })
  /** Whether something that we began may have broken off. The last owner's may have. */
  let isBroken = true

  const clear = async () => {
    const intent = await readIntent(folder)
    const isDone = !intent || intent.number <= tip.number
    for (const path of isDone ? [] : pathsOfIntent(intent, dir)) await disk.remove(path)
    await tip.cut()
  }
  const asOwner = (work: () => Promise<void>) =>
    withFileLock(lockFile, async () => {
      if ((await readFile(ownerFile, 'utf8')) !== owner) {
        throw new Fenced(`partition ${partition} of the archive was claimed by another`)
      }
      if (isBroken) await clear()
      isBroken = true
      await work()
      isBroken = false
    })
  await asOwner(async () => {})
  return {
    committed: tip,
    commit: ({ files, came, next }) =>
      asOwner(async () => {
        const today = utcDateOf(Date.now())
        if (today > tip.day) await tip.seal(today)
        if (files.length > 0) await addFiles({ dir, folder, disk, number: tip.number + 1 }, files)
        const lines = files.map(({ contents: _, ...line }) => line)
        await tip.append({ kind: 'commit', files: lines, came, next })
      }),
    deleteBefore: day =>
      asOwner(async () => {
        const days = (await listDays(folder)).filter(
          one => one >= (tip.keptFrom ?? '') && one < day,
        )
        if (days.length === 0) return
        await writeIntent(disk, folder, { number: tip.number + 1, files: [], keptFrom: day })
        const removed = await deleteFilesOfDays({ dir, folder, disk }, days)
        await tip.append({ kind: 'let go', keptFrom: day, ...removed })
      }),
  }
}

const WHY_THERE =
  'a topic that was made anew has the offsets of the one before. Give the archive another dir'

/** Writes what a commit brings, durably; before its line it is no part of the archive yet. */
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
    // Nothing that is part of the archive is ever written over.
    if (existsSync(path)) throw new Error(`${path} is there already: ${WHY_THERE}`)
    await disk.makeFolder(dirname(path))
    await writeAtomically(disk, path, contents)
    folders.add(dirname(path))
  }
  for (const one of folders) await disk.syncFolder(one)
}
