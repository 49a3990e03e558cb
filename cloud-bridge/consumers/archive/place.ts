import type { Disk } from './disk.ts'

/** At the end of a name: not whole yet. */
export const PART = '.part'

/**
 * Writes a file aside and gives it its name when it is whole; durable when its folder is synced.
 */
export async function place(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  await disk.write(path + PART, bytes)
  await disk.rename(path + PART, path)
}
