import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StateUnavailable } from '../../state/state.ts'

/**
 * The changes that an archive makes on its disk. A crash may happen between any two changes, or in
 * the middle of a change. Changes that need space (`createFolder`, `write`, `rename`, `append`)
 * reject with StateUnavailable while the disk is full.
 */
export type DurableFilesystem = {
  /** Creates a folder and its parents, durably. */
  createFolder(path: string): Promise<void>
  /**
   * Writes a complete file. The content is durable; the name is durable once the folder is synced.
   */
  write(path: string, bytes: Uint8Array): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>
  /** Truncates a file to `length` bytes and appends `bytes`, durably. */
  append(path: string, length: number, bytes: Uint8Array): Promise<void>
  /** Truncates a file to `length` bytes, durably. */
  truncate(path: string, length: number): Promise<void>
  /** Removes a file, if it exists. */
  remove(path: string): Promise<void>
}

export const durableFilesystem: DurableFilesystem = {
  createFolder: path => whileNotFull(() => createFolder(path)),
  write: (path, bytes) =>
    whileNotFull(async () => {
      await using file = await open(path, 'w')
      await file.writeFile(bytes)
      await file.sync()
    }),
  rename: (from, to) => whileNotFull(() => rename(from, to)),
  syncFolder,
  append: (path, length, bytes) =>
    whileNotFull(async () => {
      await using file = await open(path, 'a')
      await file.truncate(length)
      await file.writeFile(bytes)
      await file.sync()
    }),
  async truncate(path, length) {
    await using file = await open(path, 'r+')
    await file.truncate(length)
    await file.sync()
  },
  remove: path => rm(path, { force: true }),
}

async function createFolder(path: string): Promise<void> {
  const firstCreated = await mkdir(path, { recursive: true })
  if (firstCreated === undefined) return
  // The name of a created folder is stored in its parent folder, so the parent is synced.
  for (let folder = path; folder.length >= firstCreated.length; folder = dirname(folder)) {
    await syncFolder(dirname(folder))
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

async function whileNotFull<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error
    const fault = 'the disk of consumers.archive.dir is full; free some space'
    const message = `${fault}: ${(error as Error).message}`
    throw new StateUnavailable(message, { cause: error })
  }
}
