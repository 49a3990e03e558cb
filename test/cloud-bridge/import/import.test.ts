import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import {
  CannotImport,
  checkRecordings,
  type ImportOptions,
  importRecordings,
} from '../../../cloud-bridge/import/import.ts'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { createArchiveOf, createEvents, listFiles } from '../consumers/archive/fixture.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-import-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function written(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

/** Imports into a list of events. */
async function importInto(
  events: SensorReading[],
  paths: string[],
  options: Partial<ImportOptions> = {},
) {
  return importRecordings({
    ...{ paths, mapping: {}, skipsFaults: false, epoch: 1, topic: 'imported' },
    ...{ partitionOf: () => 0, frame: singleObjectFraming },
    known: new Set(events.map(({ id }) => id)),
    async deliver({ records }) {
      events.push(...records.map(({ value }) => decodeEvent(value)))
      return records.map(() => null)
    },
    ...{ onFault() {}, onRejected() {}, onProgress() {} },
    ...options,
  })
}

async function imported(paths: string[], options: Partial<ImportOptions> = {}) {
  const events: SensorReading[] = []
  const counts = await importInto(events, paths, options)
  return { events, counts }
}

const SPREADSHEET = 'date;Temperature;CO2\n2025-05-01 08:00:00;21,5;600\n2025-05-01 08:01:00;;610\n'
const start = Date.UTC(2025, 4, 1, 8)
const valuesOf = ({ measurements }: SensorReading) =>
  measurements.map(({ metric, number, flag, text }) => [metric, number ?? flag ?? text])

describe('an import', () => {
  it('gives each row the time, the place and the values of the recording', async () => {
    const file = written('office.csv', SPREADSHEET)
    const { events, counts } = await imported([file], { site: 'hq' })
    expect(events).toMatchObject([
      {
        ...{ gateway: 'import', epoch: 1, sequence: 1, zoneSequence: 1, clock: 'SYNCED' },
        ...{ site: 'hq', zone: 'office', device: 'office', observedAt: start, receivedAt: start },
      },
      { sequence: 2, zoneSequence: 2, observedAt: start + 60_000 },
    ])
    expect(events.map(valuesOf)).toEqual([
      [
        ['Temperature', 21.5],
        ['CO2', 600],
      ],
      [['CO2', 610]],
    ])
    expect(counts).toMatchObject({ rows: 2, sent: 2, fromMs: start, toMs: start + 60_000 })
  })

  it('sends nothing twice: neither again, nor from a longer or an overlapping recording', async () => {
    const events: SensorReading[] = []
    const file = written('a.csv', SPREADSHEET)
    await importInto(events, [file])
    expect(await importInto(events, [file, file])).toMatchObject({ rows: 4, sent: 0, known: 4 })
    written('a.csv', `${SPREADSHEET}2025-05-01 08:02:00;22;620\n`)
    expect(await importInto(events, [file])).toMatchObject({ sent: 1, known: 2 })
    const later = written('b.csv', '2025-05-01 08:02:00;22;620')
    written('b.csv', `date;Temperature;CO2\n2025-05-01 08:02:00;22;620\n`)
    expect(await importInto(events, [later], { zone: 'a', device: 'a' })).toMatchObject({ sent: 0 })
    expect(await importInto(events, [later])).toMatchObject({ sent: 1 })
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
  })

  it('names the line of each fault, and then sends nothing', async () => {
    const file = written('f.csv', 'time,a\n1,x\n2,5\n,6\n3,7\n')
    const faults: string[] = []
    const onFault = ({ message }: Error) => faults.push(message)
    const events: SensorReading[] = []
    await expect(importInto(events, [file], { onFault })).rejects.toThrow(CannotImport)
    expect(events).toEqual([])
    expect(faults).toEqual([
      expect.stringContaining(`${file}:2, column "a": "x" is not a number`),
      expect.stringContaining(`${file}:4, column "time": the row has no time`),
    ])
    const counts = await importInto(events, [file], { skipsFaults: true })
    expect(counts).toMatchObject({ rows: 4, faulty: 2, sent: 2 })
    const checked = await checkRecordings({ paths: [file], mapping: {}, onFault() {} })
    expect(checked).toMatchObject({ rows: 4, faulty: 2, sent: 0 })
  })

  it('reads one measurement a row, with site, zone and device of the row', async () => {
    const file = written(
      'long.csv',
      'ts,building,room,dev,what,val,unit,remark\n' +
        '2025-01-01T00:00:00Z,hq,r1,d1,temp,20.5,C,ok\n' +
        '2025-01-01T00:01:00Z,hq,r2,d2,co2,700,ppm,ok\n',
    )
    const mapping = {
      ...{ siteColumn: 'building', zoneColumn: 'room', deviceColumn: 'dev' },
      ...{ metricColumn: 'what', valueColumn: 'val', unitColumn: 'unit' },
    }
    const { events } = await imported([file], { mapping })
    expect(events).toMatchObject([
      { site: 'hq', zone: 'r1', device: 'd1', measurements: [{ metric: 'temp', unit: 'C' }] },
      { site: 'hq', zone: 'r2', device: 'd2', measurements: [{ metric: 'co2', number: 700 }] },
    ])
    const wrong = { ...mapping, unitColumn: 'units' }
    await expect(imported([file], { mapping: wrong })).rejects.toThrow(/has no column "units"/)
  })

  it('imports only the named columns, under their metrics', async () => {
    const file = written('c.csv', 'ts,T_in,note\n1700000000,20.5,windows open\n')
    const { events } = await imported([file], {
      mapping: { metrics: new Map([['T_in', 'temperature']]) },
    })
    expect(events.map(valuesOf)).toEqual([[['temperature', 20.5]]])
  })

  it.each(['snappy', 'zstd', 'gzip', 'brotli'])('reads Parquet files, %s', async codec => {
    const file = join(folder, `p-${codec}.parquet`)
    const instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    await connection.run(`
      COPY (
        SELECT TIMESTAMP '2025-05-01 08:00:00' + INTERVAL (i) MINUTE AS time,
          'r' || (i % 2) AS room, i / 4.0 AS t, i AS n, i % 2 = 0 AS open, [i] AS list
        FROM range(4) AS r(i)
      ) TO '${file}' (FORMAT parquet, COMPRESSION ${codec})`)
    connection.closeSync()
    instance.closeSync()
    const { events } = await imported([file], { mapping: { zoneColumn: 'room' } })
    expect(events.map(({ zone, observedAt }) => [zone, observedAt])).toEqual(
      [0, 1, 2, 3].map(i => [`r${i % 2}`, start + i * 60_000]),
    )
    expect(valuesOf(events[3]!)).toEqual([
      ['t', 0.75],
      ['n', 3],
      ['open', false],
    ])
  })

  it('sends the events of an archive unchanged, and nothing of a changed file', async () => {
    const archived = createEvents(8).map((event, at) => ({
      ...event,
      id: `11223344-5566-8777-8000-00000000000${at}`,
    }))
    using archive = await createArchiveOf(archived)
    const { events, counts } = await imported([archive.dir])
    const byId = (a: SensorReading, b: SensorReading) => (a.id < b.id ? -1 : 1)
    expect(events.toSorted(byId)).toEqual(archived)
    expect(counts).toMatchObject({ rows: 8, sent: 8 })
    writeFileSync(join(archive.dir, listFiles(archive.dir)[0]!), 'x')
    await expect(imported([archive.dir])).rejects.toThrow(/was changed since it was committed/)
  })

  it('ends when aborted, and a second import sends the rest', async () => {
    const rows = Array.from({ length: 1200 }, (_, n) => `${1_700_000_000 + n},${n}`)
    const file = written('long-one.csv', ['ts,n', ...rows].join('\n'))
    const events: SensorReading[] = []
    const deliver = async ({ records }: Parameters<ImportOptions['deliver']>[0]) => {
      if (events.length > 0) return null
      events.push(...records.map(({ value }) => decodeEvent(value)))
      return records.map(() => null)
    }
    expect(await importInto(events, [file], { deliver })).toBeNull()
    expect(events).toHaveLength(500)
    expect(await importInto(events, [file])).toMatchObject({ sent: 700, known: 500 })
    expect(events.flatMap(valuesOf).map(([, n]) => n)).toEqual(rows.map((_, n) => n))
  })
})
