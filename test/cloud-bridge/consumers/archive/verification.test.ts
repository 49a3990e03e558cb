import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lineText, parseLine } from '../../../../cloud-bridge/consumers/archive/manifest/entry.ts'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import {
  feed,
  filesIn,
  linesIn,
  manifestOf,
  openWork,
  recordsOf,
  someEvents,
  TOPIC,
  temporaryDir,
} from './fixture.ts'

/** An archive of 12 events in 3 commits; its manifest's lines are a seal and these. */
async function someArchive() {
  const place = temporaryDir()
  await using work = await openWork(place)
  await feed(work, TOPIC, recordsOf(someEvents(12)), 4)
  return place
}

const faultsIn = async (dir: string, heads = []) => (await verifyArchive(dir, heads))!.faults

/** Changes one line of a manifest, by the text or by what it says; the latter with its new hash. */
function changeLine(dir: string, at: number, change: (text: string) => string | null) {
  const file = manifestOf(dir)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const changed = lines.flatMap((line, index) => (index === at ? (change(line) ?? []) : line))
  writeFileSync(file, `${changed.join('\n')}\n`)
  return file.slice(dir.length + 1)
}

describe('verifying an archive', () => {
  it('finds nothing in one that is as it was committed', async () => {
    using place = await someArchive()
    const proof = (await verifyArchive(place.dir, []))!
    expect(proof.faults).toEqual([])
    expect(proof.remarks).toEqual([])
    expect(proof.partitions).toMatchObject([{ partition: 0, number: 4, events: 12, files: 8 }])
  })

  it('has nothing to say where there is no archive', async () => {
    using place = temporaryDir()
    expect(await verifyArchive(join(place.dir, 'none'), [])).toBeNull()
  })

  it('names a file that was changed by a bit, removed, or added', async () => {
    using place = await someArchive()
    const [one, other, third] = filesIn(place.dir) as [string, string, string]
    const bytes = readFileSync(join(place.dir, one))
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(join(place.dir, one), bytes)
    rmSync(join(place.dir, other))
    const added = third.replace('.parquet', '0.parquet')
    writeFileSync(join(place.dir, added), 'x')
    const faults = await faultsIn(place.dir)
    expect(faults).toHaveLength(3)
    expect(faults[0]).toMatch(`${one}: changed since it was committed (manifest`)
    expect(faults[1]).toMatch(`${other}: missing (manifest`)
    expect(faults[2]).toBe(`${added}: added, no manifest names it`)
  })

  it('names a line that was changed, and the place of one that was removed', async () => {
    using place = await someArchive()
    const file = changeLine(place.dir, 2, line => line.replace('"rows":1', '"rows":9'))
    expect(await faultsIn(place.dir)).toContain(`${file} line 3: changed since it was written`)
    using another = await someArchive()
    changeLine(another.dir, 2, () => null)
    const faults = await faultsIn(another.dir)
    expect(faults[0]).toBe(`${file} line 3: what stood before it was removed or replaced`)
    expect(faults.filter(one => one.includes('added'))).toHaveLength(4)
  })

  it('shows a line that was written anew with a hash that fits it', async () => {
    using place = await someArchive()
    const file = changeLine(place.dir, 2, line => {
      const { sha256: _, ...said } = parseLine(line)!
      return lineText({ ...said, at: '2020-01-01T00:00:00.000Z' }).text
    })
    expect(await faultsIn(place.dir)).toEqual([
      `${file} line 4: what stood before it was removed or replaced`,
    ])
  })

  it('shows by a hash kept elsewhere that the newest commit was taken away, files and all', async () => {
    using place = await someArchive()
    const { partitions: heads } = (await verifyArchive(place.dir, []))!
    for (const { name } of linesIn(place.dir).at(-1).files) rmSync(join(place.dir, name))
    changeLine(place.dir, 3, () => null)
    expect((await verifyArchive(place.dir, []))!.faults).toEqual([])
    const { faults } = (await verifyArchive(place.dir, heads))!
    expect(faults).toEqual([expect.stringMatching(/^partition 0: line #4 .* not in the manifest/)])
  })

  it('tells what the next claim mends from what was added', async () => {
    using place = await someArchive()
    const file = manifestOf(place.dir)
    appendFileSync(file, '{"number":')
    const proof = (await verifyArchive(place.dir, []))!
    expect(proof.faults).toEqual([])
    expect(proof.remarks).toEqual([expect.stringMatching('its last line is torn')])
  })
})
