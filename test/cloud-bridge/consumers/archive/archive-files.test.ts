import { cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import {
  createEvents,
  createTemporaryDir,
  feed,
  newestManifest,
  openWork,
  recordsOf,
  TOPIC,
} from './fixture.ts'

const replace = (path: string) => {
  cpSync(path, `${path}.copy`, { recursive: true })
  renameSync(path, `${path}.old`)
  renameSync(`${path}.copy`, path)
}
const manifestFolder = (dir: string) => dirname(newestManifest(dir))

it.each<[string, (dir: string) => void, RegExp]>([
  ['its directory is deleted', dir => rmSync(dir, { recursive: true }), /partition=0 was deleted/],
  ['its directory is replaced by a copy', dir => replace(dir), /partition=0 was replaced/],
  ['its manifest file is deleted', dir => rmSync(newestManifest(dir)), /\.jsonl was deleted/],
  ['its manifest file is replaced', dir => replace(newestManifest(dir)), /\.jsonl was replaced/],
  [
    'the file of its owner is replaced',
    dir => replace(join(manifestFolder(dir), 'owner')),
    /owner was replaced/,
  ],
])('the archive commits nothing more when %s', async (_, takeAway, reason) => {
  using place = createTemporaryDir()
  const records = recordsOf(createEvents(12))
  const work = await openWork({ dir: place.dir })
  const failed = expect(work.failed).rejects.toThrow(reason)
  await feed(work, TOPIC, records.slice(0, 4), 4)
  const manifest = newestManifest(place.dir)
  const before = readFileSync(manifest)
  takeAway(place.dir)
  await expect(feed(work, TOPIC, records, 4)).rejects.toThrow(reason)
  await failed
  await work[Symbol.asyncDispose]()
  if (existsSync(manifest)) expect(readFileSync(manifest).equals(before)).toBe(true)
  for (const end of ['.old', '.copy'])
    rmSync(`${place.dir}${end}`, { recursive: true, force: true })
})
