import { mkdirSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The file system types of tmpfs and ramfs (linux/magic.h). */
const IN_MEMORY = [0x01021994, 0x858458f6]

/**
 * Creates a directory on a real disk: in data/ of the current directory, where an outbox is by
 * default, or in the directory for temporary files. `isInMemory` is true when neither is on a disk;
 * fsync then costs nothing and disk figures mean nothing. Disposal removes the directory.
 */
export async function createBenchDirectory(): Promise<
  AsyncDisposable & { dir: string; isInMemory: boolean }
> {
  const data = resolve('data')
  mkdirSync(data, { recursive: true })
  const kinds = await Promise.all([data, tmpdir()].map(isInMemory))
  const parent = kinds[0] && !kinds[1] ? tmpdir() : data
  const dir = await mkdtemp(join(parent, 'bench-'))
  return {
    dir,
    isInMemory: kinds.every(kind => kind),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true, maxRetries: 3 }),
  }
}

async function isInMemory(dir: string): Promise<boolean> {
  return IN_MEMORY.includes((await statfs(dir)).type)
}
