import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lineText, parseLine } from '../../../../cloud-bridge/consumers/archive/manifest/entry.ts'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import {
  createArchiveOf,
  createEvents,
  createTemporaryDir,
  listFiles,
  newestManifest,
  readCommits,
} from './fixture.ts'

/**
 * An archive of 12 events in 3 commits; the manifest has the seal of the day and a line for each
 * commit.
 */
const createArchiveOfEvents = () => createArchiveOf(createEvents(12), {}, 4)

const faultsIn = async (dir: string, heads = []) => (await verifyArchive(dir, heads))!.faults

/** Changes one line of a manifest; null removes the line. Returns the file's path. */
function changeLine(dir: string, at: number, change: (text: string) => string | null) {
  const file = newestManifest(dir)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const changed = lines.flatMap((line, index) => (index === at ? (change(line) ?? []) : line))
  writeFileSync(file, `${changed.join('\n')}\n`)
  return file.slice(dir.length + 1)
}

describe('verifying an archive', () => {
  it('finds no fault in an archive that is as it was committed', async () => {
    using folder = await createArchiveOfEvents()
    const result = (await verifyArchive(folder.dir, []))!
    expect(result.faults).toEqual([])
    expect(result.remarks).toEqual([])
    expect(result.partitions).toMatchObject([{ partition: 0, number: 4, events: 12, files: 8 }])
  })

  it('returns null when there is no archive', async () => {
    using folder = createTemporaryDir()
    expect(await verifyArchive(join(folder.dir, 'none'), [])).toBeNull()
    writeFileSync(join(folder.dir, 'notes.txt'), 'x')
    expect(await verifyArchive(folder.dir, [])).toBeNull()
  })

  it('names the files of an archive whose manifests were removed', async () => {
    using folder = await createArchiveOfEvents()
    rmSync(join(folder.dir, 'manifest'), { recursive: true })
    const faults = await faultsIn(folder.dir)
    const names = listFiles(folder.dir)
    expect(faults.sort()).toEqual(names.map(name => `${name}: added, no manifest names it`))
  })

  it('names a file that was changed by a bit, removed, or added', async () => {
    using folder = await createArchiveOfEvents()
    const [changed, removed, third] = listFiles(folder.dir) as [string, string, string]
    const bytes = readFileSync(join(folder.dir, changed))
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(join(folder.dir, changed), bytes)
    rmSync(join(folder.dir, removed))
    const added = third.replace('.parquet', '0.parquet')
    writeFileSync(join(folder.dir, added), 'x')
    const faults = await faultsIn(folder.dir)
    expect(faults).toHaveLength(3)
    expect(faults[0]).toMatch(`${changed}: changed since it was committed (manifest`)
    expect(faults[1]).toMatch(`${removed}: missing (manifest`)
    expect(faults[2]).toBe(`${added}: added, no manifest names it`)
  })

  it('names a line that was changed, and the place of a line that was removed', async () => {
    using folder = await createArchiveOfEvents()
    const file = changeLine(folder.dir, 2, line => line.replace('"rows":1', '"rows":9'))
    expect(await faultsIn(folder.dir)).toContain(`${file} line 3: changed since it was written`)
    using other = await createArchiveOfEvents()
    changeLine(other.dir, 2, () => null)
    const faults = await faultsIn(other.dir)
    expect(faults[0]).toBe(`${file} line 3: the line before it was removed or replaced`)
    expect(faults.filter(fault => fault.includes('added'))).toHaveLength(4)
  })

  it('finds a line that was rewritten with a matching hash', async () => {
    using folder = await createArchiveOfEvents()
    const file = changeLine(folder.dir, 2, line => {
      const { sha256: _, ...fields } = parseLine(line)!
      return lineText({ ...fields, at: '2020-01-01T00:00:00.000Z' }).text
    })
    expect(await faultsIn(folder.dir)).toEqual([
      `${file} line 4: the line before it was removed or replaced`,
    ])
  })

  it('finds by a hash stored elsewhere that the newest commit was removed with its files', async () => {
    using folder = await createArchiveOfEvents()
    const { partitions: heads } = (await verifyArchive(folder.dir, []))!
    for (const { name } of readCommits(folder.dir).at(-1).files) rmSync(join(folder.dir, name))
    changeLine(folder.dir, 3, () => null)
    expect((await verifyArchive(folder.dir, []))!.faults).toEqual([])
    const { faults } = (await verifyArchive(folder.dir, heads))!
    expect(faults).toEqual([
      expect.stringMatching(/^partition 0: line #4 .* no longer in the manifest/),
    ])
  })

  it('distinguishes leftovers that the next claim removes from additions', async () => {
    using folder = await createArchiveOfEvents()
    const file = newestManifest(folder.dir)
    appendFileSync(file, '{"number":')
    const result = (await verifyArchive(folder.dir, []))!
    expect(result.faults).toEqual([])
    expect(result.remarks).toEqual([expect.stringMatching('the last line is incomplete')])
  })

  it.each([
    ['garbage\n', 1],
    ['garbage\nmore garbage\n', 2],
    ['\n', 1],
  ])('names each complete line that was added at the end: %j', async (added, count) => {
    using folder = await createArchiveOfEvents()
    const file = newestManifest(folder.dir)
    appendFileSync(file, added)
    const { faults, remarks } = (await verifyArchive(folder.dir, []))!
    const name = file.slice(folder.dir.length + 1)
    expect(faults).toEqual(
      Array.from({ length: count }, (_, at) =>
        expect.stringContaining(`${name} line ${5 + at}: added`),
      ),
    )
    expect(remarks).toEqual([])
  })
})
