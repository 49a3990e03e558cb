import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { EventColumns } from '../../../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import type { Measurement } from '../../../../../config/event/sensor-reading.ts'
import { createTemporaryDir, eventOf, TOPIC } from '../fixture.ts'

const nothing = { number: null, flag: null, text: null, unit: null }

/** The statistics in a file with one event for each list of measurements, as DuckDB reads them. */
async function statisticsOf(lists: Partial<Measurement>[][]) {
  using folder = createTemporaryDir()
  const columns = new EventColumns()
  for (const [offset, list] of lists.entries()) {
    const measurements = list.map(measured => ({ metric: 'm', ...nothing, ...measured }))
    const event = eventOf('lobby', offset + 1, { measurements })
    columns.add({ ...{ event, topic: TOPIC, partition: 0, offset }, appendTimeMs: 0 })
  }
  const file = join(folder.dir, 'a.parquet')
  writeFileSync(file, columns.toParquet())
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const reader = await connection.runAndReadAll(
    `SELECT path_in_schema AS path, stats_min_value AS low, stats_max_value AS high,
      CAST(stats_null_count AS INTEGER) AS nulls FROM parquet_metadata('${file}')`,
  )
  const rows = reader.getRowObjectsJson()
  connection.closeSync()
  instance.closeSync()
  return new Map(rows.map(({ path, low, high, nulls }) => [String(path), [low, high, nulls]]))
}

const inList = (name: string) => `measurements, list, element, ${name}`

describe('the statistics of a file', () => {
  it('have the lowest and highest value and the missing values of each measured column', async () => {
    const statistics = await statisticsOf([
      [
        { metric: 'co2', number: 612 },
        { metric: 'motion', flag: false },
      ],
      [{ metric: 'temperature', number: -1.5, unit: 'C' }],
      [
        { metric: 'state', text: 'öffnen' },
        { metric: 'state', text: 'zu', unit: 'K' },
      ],
    ])
    expect(statistics.get(inList('metric'))).toEqual(['co2', 'temperature', 0])
    expect(statistics.get(inList('number'))!.map(Number)).toEqual([-1.5, 612, 3])
    expect(statistics.get(inList('flag'))).toEqual(['false', 'false', 4])
    expect(statistics.get(inList('text'))).toEqual(['zu', 'öffnen', 3])
    expect(statistics.get(inList('unit'))).toEqual(['C', 'K', 3])
    expect(statistics.get('zone')).toEqual(['lobby', 'lobby', 0])
  })

  it('count the missing values of a column without values', async () => {
    const statistics = await statisticsOf([[{ number: 1 }], []])
    expect(statistics.get(inList('flag'))).toEqual([null, null, 2])
  })

  it('have both zeros, whichever zero was measured', async () => {
    const [low, high] = (await statisticsOf([[{ number: 0 }]])).get(inList('number'))!
    expect([String(low), String(high)]).toEqual(['-0.0', '0.0'])
  })

  it('have no texts of more than 128 bytes', async () => {
    const statistics = await statisticsOf([[{ text: 'x'.repeat(129) }]])
    expect(statistics.get(inList('text'))).toEqual([null, null, 0])
  })
})
