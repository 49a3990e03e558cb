import { mkdirSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** tmpfs and ramfs (linux/magic.h). */
const IN_MEMORY = [0x01021994, 0x858458f6]

/**
 * A new directory on a real disk: in the current directory's data/, where an outbox is by default,
 * or for temporary files. `isInMemory` is true when there is no disk; then fsync costs nothing and
 * figures of the disk mean nothing. It is removed at the end.
 */
export async function makePlace(): Promise<AsyncDisposable & { dir: string; isInMemory: boolean }> {
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
