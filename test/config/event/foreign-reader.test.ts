import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
import { newestSchema } from '../../../config/schemas/released.ts'
import { goldenEvent } from './events-fixture.ts'

// A Python with fastavro and, for the query engine, duckdb==1.4.4 and duckdb-ext-avro.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const isThere = spawnSync(python, ['-c', 'import fastavro']).status === 0

const schemaFile = fileURLToPath(
  new URL(`../../config/schemas/SensorReading.${newestSchema.version}.avsc`, import.meta.url),
)
const readerFile = fileURLToPath(new URL('./foreign-reader.py', import.meta.url))
const { measurements, ...rest } = goldenEvent
const later = { ...rest, sequence: 8, zoneSequence: 4, observedAt: null, measurements: [] }
const events = [goldenEvent, later]

describe.skipIf(!isThere)('another implementation of Avro', () => {
  let dir: string
  let told: {
    header: string
    fingerprint: string
    canonical: string
    event: unknown
    left: number
    container: unknown[]
    duckdb: unknown[][] | null
  }

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-test-'))
    const single = join(dir, 'single')
    const container = join(dir, 'events.avro')
    writeFileSync(single, encodeEvent(goldenEvent))
    writeFileSync(container, containerOf(events.map(event => encodeEvent(event).subarray(10))))
    const ran = spawnSync(python, [readerFile, schemaFile, single, container], { encoding: 'utf8' })
    expect(ran.stderr).toBe('')
    told = JSON.parse(ran.stdout)
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  it('computes the same canonical schema and fingerprint', () => {
    expect(told.canonical).toBe(newestSchema.canonical)
    expect(told.fingerprint).toBe(newestSchema.fingerprint.toString('hex'))
  })

  it('reads single-object encoding behind its header', () => {
    expect(told.header).toBe('c301')
    expect(told.event).toEqual(goldenEvent)
    expect(told.left).toBe(0)
  })

  it('reads our bytes in a container file', () => {
    expect(told.container).toEqual(events)
  })

  it('reads our bytes as a query engine', ({ skip }) => {
    if (told.duckdb === null) skip('DuckDB and its Avro extension are not there')
    const { epoch, zone, clock, source } = goldenEvent
    const metrics = measurements.map(({ metric }) => metric)
    expect(told.duckdb).toEqual([
      [zone, 7, 3, epoch, 1_700_000_000_123, clock, source.topic, metrics, 400.5],
      [zone, 8, 4, epoch, null, clock, source.topic, [], null],
    ])
  })
})

/** An Avro object container file with one block (Avro 1.12, "Object Container Files"). */
function containerOf(datums: Buffer[]): Buffer {
  const sync = Buffer.alloc(16, 0x5a)
  const text = (value: string) => [long(Buffer.byteLength(value)), Buffer.from(value)]
  const meta = { 'avro.schema': readFileSync(schemaFile, 'utf8'), 'avro.codec': 'null' }
  const header = Object.entries(meta).flatMap(([key, value]) => [...text(key), ...text(value)])
  const data = Buffer.concat(datums)
  const block = [long(datums.length), long(data.length), data, sync]
  return Buffer.concat([Buffer.from('Obj\u0001'), long(2), ...header, long(0), sync, ...block])
}

/** A long that is not negative, in zigzag and variable length. */
function long(value: number): Buffer {
  const bytes: number[] = []
  let rest = value * 2
  for (; rest > 127; rest >>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}
