import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import avro from 'avsc'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading, readOutbox } from '../store/fixture.ts'
import { openWorkspace } from './command.ts'

// A Python in which the package fastavro is installed.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const hasPython = spawnSync(python, ['-c', 'import fastavro']).status === 0
const script = fileURLToPath(new URL('./export.py', import.meta.url))

const BASE = 1_700_000_000_000
const iso = (ms: number) => new Date(BASE + ms).toISOString()

describe('./sluice export', () => {
  let workspace: ReturnType<typeof openWorkspace>
  let outbox: ReturnType<typeof openOutbox>
  let all: SensorReading[]
  beforeEach(() => {
    workspace = openWorkspace()
    outbox = openOutbox({ file: workspace.outboxFile, gateway: 'gw' })
    // 300 groups of 3 events, one second apart, so that the export reads more than one page of
    // groups.
    for (let group = 0; group < 300; group++) {
      const more = group % 2 === 0 ? { observedAt: BASE } : {}
      const readings = ['a', 'b', 'é "x"'].map(zone => reading(zone, group * 1000, more))
      outbox.commit({ readings, deadLetters: [] })
    }
    all = readOutbox(workspace.outboxFile).events
  })
  afterEach(() => {
    outbox.close()
    workspace[Symbol.dispose]()
  })

  const exported = (...more: string[]) => workspace.run('export', '--from', iso(0), ...more)
  const eventsIn = (text: string): SensorReading[] =>
    text
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line))

  it('writes the events received within the time as JSON lines', async () => {
    const { code, stdout, stderr } = await exported('--to', iso(100_000))
    expect([code, stderr]).toEqual([0, '300 events exported\n'])
    expect(eventsIn(stdout)).toEqual(all.slice(0, 300))
    const later = await workspace.run('export', '--from', iso(299_000), '--zone', 'b')
    expect(eventsIn(later.stdout)).toEqual([all[898]])
  })

  it('writes an Avro object container file with the whole schema', async () => {
    const out = workspace.file('all.avro')
    const { code, stderr } = await exported('--format', 'avro', '--out', out)
    expect([code, stderr]).toEqual([0, '900 events exported\n'])
    const decoded: SensorReading[] = []
    const decoder = avro.createFileDecoder(out)
    decoder.on('data', event => decoded.push(event))
    await new Promise(resolve => decoder.on('end', resolve))
    expect(decoded).toEqual(all)
    expect(readFileSync(out).includes('timestamp-millis')).toBe(true)
    expect(statSync(out).mode & 0o777).toBe(0o600)
  })

  it.skipIf(!hasPython)('writes an Avro file that fastavro reads', async () => {
    const out = workspace.file('b.avro')
    await exported('--format', 'avro', '--zone', 'b', '--out', out)
    const read = spawnSync(python, [script, out], { encoding: 'utf8', maxBuffer: 2 ** 26 })
    expect(read.stderr).toBe('')
    const events = all.filter(({ zone }) => zone === 'b')
    expect(JSON.parse(read.stdout)).toEqual({ codec: 'deflate', events })
    const none = workspace.file('none.avro')
    await exported('--format', 'avro', '--zone', 'none', '--out', none)
    const empty = spawnSync(python, [script, none], { encoding: 'utf8' })
    expect(JSON.parse(empty.stdout)).toEqual({ codec: 'deflate', events: [] })
  })

  it('names unreadable groups and missing events, writes the rest, and exits with 1', async () => {
    const db = new Database(workspace.outboxFile)
    db.exec(`UPDATE groups SET body = x'00' WHERE sequence = 4`)
    db.exec(`UPDATE groups SET headerCrc = 1 WHERE sequence = 10`)
    db.exec('DELETE FROM groups WHERE sequence IN (16, 19)')
    db.close()
    const { code, stdout, stderr } = await exported('--to', iso(8000))
    expect(code).toBe(1)
    expect(eventsIn(stdout).map(({ sequence }) => sequence)).toEqual([
      ...[1, 2, 3, 7, 8, 9, 13, 14, 15, 22, 23, 24],
    ])
    const warnings = stderr.trim().split('\n')
    expect(warnings).toEqual([
      'the group from #4 on cannot be read: body checksum differs (zone sequences a 2-2, b 2-2, é "x" 2-2)',
      'the group from #10 on cannot be read: header checksum differs',
      '6 events are not in the outbox any more: #16 to #21',
      '12 events exported, 2 groups unreadable',
    ])
  })

  it.each([
    [['--to', '2023-11-14T22:14'], /has no time zone\. Write 2023-11-14T22:14Z/],
    [['--to', iso(0)], /--from must be before --to/],
    [['--format', 'csv'], /csv/],
  ])('refuses %j', async (args, reason) => {
    const { code, stdout, stderr } = await exported(...args)
    expect(code).toBeGreaterThan(0)
    expect([stdout, stderr]).toEqual(['', expect.stringMatching(reason)])
  })

  it('overwrites no file, and leaves no partial file', async () => {
    const out = workspace.file('kept')
    writeFileSync(out, 'kept')
    const refused = await exported('--out', out)
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('exists already') })
    expect(readFileSync(out, 'utf8')).toBe('kept')
    const missing = workspace.file('no/such/folder')
    const failed = await exported('--out', missing)
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^--out .*folder: ENOENT: no such file.*\. Create its directory, or name another file$/m,
      ),
    })
    expect(existsSync(`${missing}.part`)).toBe(false)
  })
})
