import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A disk of its own, a small one in memory, or null where this process may not mount any. */
export function mountSmallDisk(bytes: number) {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-disk-'))
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', dir])
  if (mount.status !== 0) {
    rmdirSync(dir)
    return null
  }
  const other = join(dir, 'other')
  return {
    file: (name: string) => join(dir, name),
    /** Something else takes all that is free but so many bytes. */
    takeAllBut(bytes: number): void {
      const { bavail, bsize } = statfsSync(dir)
      writeFileSync(other, Buffer.alloc(Math.max(0, bavail * bsize - bytes), 1))
    },
    /** That goes again. */
    giveBack: () => rmSync(other, { force: true }),
    [Symbol.dispose](): void {
      spawnSync('umount', ['-l', dir])
      rmdirSync(dir)
    },
  }
}
