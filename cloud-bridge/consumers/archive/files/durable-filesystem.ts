import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StateUnavailable } from '../../state/state.ts'

/**
 * What an archive changes on its disk, step by step: a kill may come between any two of them, or in
 * the middle of one. Each rejects with StateAway while there is no room.
 */
export type DurableFilesystem = {
  /** Makes a folder and those above it, durably. */
  makeFolder(path: string): Promise<void>
  /** A whole file, its contents durable; its name is when its folder is synced. */
  write(path: string, bytes: Uint8Array): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>
  /** Writes behind the first `length` bytes of a file, instead of what stands there, durably. */
  append(path: string, length: number, bytes: Uint8Array): Promise<void>
  /** Cuts a file behind its first `length` bytes, durably. */
  cut(path: string, length: number): Promise<void>
  /** Removes a file, if it is there. */
  remove(path: string): Promise<void>
}

export const durableFilesystem: DurableFilesystem = {
  makeFolder: path => whenThereIsRoom(() => makeFolder(path)),
  write: (path, bytes) =>
    whenThereIsRoom(async () => {
      await using file = await open(path, 'w')
      await file.writeFile(bytes)
      await file.sync()
    }),
  rename: (from, to) => whenThereIsRoom(() => rename(from, to)),
  syncFolder,
  append: (path, length, bytes) =>
    whenThereIsRoom(async () => {
      await using file = await open(path, 'a')
      await file.truncate(length)
      await file.writeFile(bytes)
      await file.sync()
    }),
  async cut(path, length) {
    await using file = await open(path, 'r+')
    await file.truncate(length)
    await file.sync()
  },
  remove: path => rm(path, { force: true }),
}

async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  // The name of each that is new stands in the one above it.
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at))
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

async function whenThereIsRoom<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error
    throw new StateUnavailable(
      `the disk of consumers.archive.dir is full: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
}
