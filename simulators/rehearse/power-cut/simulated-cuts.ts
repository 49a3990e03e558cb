import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { keyOf, mulberry32 } from '../../building/random.ts'
import { createModelDisk } from './disk-model/disk.ts'
import { type CutFinding, compareStore } from './judgement/comparison.ts'
import type { CutPoint } from './recording/cut-points.ts'
import { createStorePromises, type StorePromises } from './recording/marks.ts'
import type { RecordedCall } from './recording/recorded-calls.ts'
import { storeKeyOf } from './workload/numbered-content.ts'

/** SQLite's integrity check is slow, so it runs at only one in this many cut points. */
const CHECK_EVERY = 10
const STALE_SHARED_MEMORY = 0.2
const MARK = 'outbox.db.damaged'

/** A power cut, the promises of the store before it, and the finding after it. */
export type PowerCut = { point: CutPoint; promises: StorePromises; finding: CutFinding }

/**
 * Replays the recorded calls once, store by store, and cuts the power at each cut point. The same
 * seed gives the same cuts. `points` must be in the order of the calls. After each cut its files
 * are in `dir`.
 */
export function* cutPower(
  recorded: Map<string, RecordedCall[]>,
  points: CutPoint[],
  { seed, dir }: { seed: number; dir: string },
): Generator<PowerCut> {
  const image = join(dir, 'image')
  for (const [store, calls] of recorded) {
    const disk = createModelDisk()
    const promises = createStorePromises()
    const key = storeKeyOf(seed, store)
    let done = 0
    for (const point of points.filter(candidate => candidate.store === store)) {
      for (; done <= point.at; done++) {
        const call = calls[done]!
        if (call.kind === 'mark') promises.addLines(call.lines)
        else disk.apply(call)
      }
      const random = mulberry32(keyOf(seed, `point ${point.number}`))
      writeImage(image, disk.afterCut(random), random)
      const isThorough = point.number % CHECK_EVERY === 0
      yield {
        point,
        promises,
        finding: compareStore({ dir: image, key, promises, random, isThorough }),
      }
    }
  }
}

/**
 * Writes the files that a cut leaves. Shared memory is never fsynced, so a cut may leave garbage in
 * it.
 */
function writeImage(dir: string, files: Map<string, Buffer>, random: () => number): void {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir)
  for (const [name, bytes] of files) writeFileSync(join(dir, name), bytes)
  // The damage mark contains the inode of the marked file, and the written file has another inode.
  if (files.has(MARK)) writeFileSync(join(dir, MARK), withoutInode(files.get(MARK)!.toString()))
  for (const name of ['outbox.db-shm', 'inbox.db-shm']) {
    if (random() < STALE_SHARED_MEMORY) writeFileSync(join(dir, name), garbage(32_768, random))
  }
}

function withoutInode(mark: string): string {
  return mark.replace(/"inode":\d+/, '"inode":null')
}

function garbage(length: number, random: () => number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(random() * 2 ** 32, at)
  return bytes
}
