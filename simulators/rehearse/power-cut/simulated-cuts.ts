import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { keyOf, mulberry32 } from '../../building/random.ts'
import { createModelDisk } from './disk-model/disk.ts'
import { type CutFinding, compareStore } from './judgement/comparison.ts'
import type { CutPoint } from './recording/cut-points.ts'
import { createStorePromises, type StorePromises } from './recording/marks.ts'
import type { RecordedCall } from './recording/recorded-calls.ts'
import { storeKeyOf } from './workload/numbered-content.ts'

/** SQLite's own check of its files takes as long as all the others. */
const CHECK_EVERY = 10
const STALE_SHARED_MEMORY = 0.2
const MARK = 'outbox.db.damaged'

/** A power cut, what had been promised by then, and what was found when the power was back. */
export type PowerCut = { point: CutPoint; promised: StorePromises; finding: CutFinding }

/**
 * Goes through the calls once, store by store, and cuts at each point on the way: the same cuts for
 * the same seed. `points` are in the order of the calls; images are made in `dir`.
 */
export function* cutPower(
  recorded: Map<string, RecordedCall[]>,
  points: CutPoint[],
  { seed, dir }: { seed: number; dir: string },
): Generator<PowerCut> {
  const image = join(dir, 'image')
  for (const [store, calls] of recorded) {
    const disk = createModelDisk()
    const promised = createStorePromises()
    const key = storeKeyOf(seed, store)
    let done = 0
    for (const point of points.filter(one => one.store === store)) {
      for (; done <= point.at; done++) {
        const call = calls[done]!
        if (call.kind === 'mark') promised.addLines(call.lines)
        else disk.apply(call)
      }
      const random = mulberry32(keyOf(seed, `point ${point.number}`))
      writeImage(image, disk.afterCut(random), random)
      const isThorough = point.number % CHECK_EVERY === 0
      yield {
        point,
        promised,
        finding: compareStore({ dir: image, key, promised, random, isThorough }),
      }
    }
  }
}

/** Shared memory lasts as little as anything that was not fsynced: it may be there, as garbage. */
function writeImage(dir: string, files: Map<string, Buffer>, random: () => number): void {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir)
  for (const [name, bytes] of files) writeFileSync(join(dir, name), bytes)
  // It names a file by its inode, which is another one here.
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
