import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { event } from '../../../config/event/events-fixture.ts'
import { createArchiveOf, createEvents, eventOf, TOPIC } from './fixture.ts'

/** Python's order of texts. */
const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

const run = promisify(execFile)
const scriptAt = (name: string) => fileURLToPath(new URL(name, import.meta.url))
// A Python with pyarrow.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const hasPyarrow = spawnSync(python, ['-c', 'import pyarrow.dataset']).status === 0

/** Plain events, and some that are as unusual as the contract allows. */
const unusual = fc.sample(event, { numRuns: 20, seed: 6 }).map((sample, at) => ({
  ...sample,
  // Neither DuckDB nor pyarrow can represent every time that the contract allows.
  ...{ observedAt: null, receivedAt: 1_800_000_000_000 + at, zoneSequence: at + 1 },
}))
const events: SensorReading[] = [...createEvents(10), ...unusual]

const expected = events.map((archived, offset) => ({
  ...archived,
  ...{ kafkaTopic: TOPIC, kafkaPartition: 0, kafkaOffset: offset, heardAt: 1_700_000_001_000 },
}))

async function readWith(program: string, ...words: string[]) {
  using folder = await createArchiveOf(events)
  const { stdout } = await run(program, [...words, folder.dir], { maxBuffer: 2 ** 26 })
  return stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
}

const LONGS = ['epoch', 'sequence', 'zoneSequence', 'kafkaPartition', 'kafkaOffset']
const TIMES = ['observedAt', 'receivedAt', 'heardAt']

/** JSON has no 64-bit numbers, so DuckDB prints them as texts. */
function withNumbers(row: Record<string, unknown>) {
  const numbers = [...LONGS, ...TIMES, 'events'].filter(name => typeof row[name] === 'string')
  return { ...row, ...Object.fromEntries(numbers.map(name => [name, Number(row[name])])) }
}

function expectAll(rows: Record<string, unknown>[]) {
  expect(rows.slice(0, events.length).map(withNumbers)).toEqual(expected)
  const counts = rows.slice(events.length).map(withNumbers)
  expect(counts).toContainEqual({ date: '2023-11-14', zone: 'z/0', events: 3 })
  expect(counts.reduce((sum, { events }: { events?: number }) => sum + events!, 0)).toBe(
    events.length,
  )
}

const TOOLS = ['pandas', 'pyarrow', 'polars', 'polars_lazy', 'duckdb']
const isInstalled = (tool: string) =>
  spawnSync(python, ['-c', `import ${tool.replace('_lazy', '')}`]).status === 0

/** Names that some reader ignores, decodes, or takes for a number, a path or a missing value. */
const zones = [
  ...['__HIVE_DEFAULT_PARTITION__', '_x', '.y', '..', '5', '07', 'null', 'a/b', 'z=1', 'a%2Fb'],
  ...['2026-05-01', 'é 1', '日本', "it's", 'x'.repeat(300), 'a,b;c', '*', '[1]', '{a}', '?'],
]

describe('the first line of a tutorial', () => {
  it.for(TOOLS)(
    'reads an archive with any zone: %s',
    { timeout: 60_000 },
    async (tool, { skip }) => {
      skip(!isInstalled(tool), `${python} has no such library`)
      const receivedAt = Date.UTC(2026, 4, 1, 12)
      const odd = zones.map((zone, at) => eventOf(zone, at + 1, { receivedAt }))
      using folder = await createArchiveOf([...createEvents(10), ...odd])
      const words = [scriptAt('./first-lines.py'), `${folder.dir}/events`, tool]
      const { stdout } = await run(python, words)
      const dates = ['2023-11-14', '2023-11-15', '2026-05-01']
      const found = [...zones, 'z/0', 'z/1'].sort(byCodePoint)
      expect(JSON.parse(stdout)).toEqual([tool, 10 + zones.length, found, dates])
    },
  )
})

describe('an archive', () => {
  it('is read by DuckDB without a difference', async () => {
    expectAll(await readWith(process.execPath, scriptAt('./read-with-duckdb.ts')))
  }, 30_000)

  it.skipIf(!hasPyarrow)(
    'is read by pyarrow without a difference',
    async () => {
      expectAll(await readWith(python, scriptAt('./read-with-pyarrow.py')))
    },
    30_000,
  )
})
