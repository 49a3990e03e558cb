import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Mounts a small disk in memory; returns null when this process may not mount disks. */
export function mountSmallDisk(bytes: number) {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-disk-'))
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', dir])
  if (mount.status !== 0) {
    rmdirSync(dir)
    return null
  }
  const filler = join(dir, 'other')
  return {
    file: (name: string) => join(dir, name),
    /** Fills the free space except `bytes` with a file that does not belong to the gateway. */
    fillAllBut(bytes: number): void {
      const { bavail, bsize } = statfsSync(dir)
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes), 1))
    },
    /** Removes the file that `fillAllBut` wrote. */
    free: () => rmSync(filler, { force: true }),
    [Symbol.dispose](): void {
      spawnSync('umount', ['-l', dir])
      rmdirSync(dir)
    },
  }
}
