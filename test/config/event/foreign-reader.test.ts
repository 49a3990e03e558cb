import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
import { newestSchema } from '../../../config/schemas/released.ts'
import { goldenEvent } from './events-fixture.ts'

// A Python with fastavro; the query engine needs duckdb==1.4.4 and duckdb-ext-avro.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const hasFastavro = spawnSync(python, ['-c', 'import fastavro']).status === 0

const schemaFile = fileURLToPath(
  new URL(`../../../config/schemas/SensorReading.${newestSchema.version}.avsc`, import.meta.url),
)
const readerFile = fileURLToPath(new URL('./foreign-reader.py', import.meta.url))
const { measurements, ...rest } = goldenEvent
const secondEvent = { ...rest, sequence: 8, zoneSequence: 4, observedAt: null, measurements: [] }
const events = [goldenEvent, secondEvent]

describe.skipIf(!hasFastavro)('another implementation of Avro', () => {
  let dir: string
  let output: {
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
    const result = spawnSync(python, [readerFile, schemaFile, single, container], {
      encoding: 'utf8',
    })
    expect(result.stderr).toBe('')
    output = JSON.parse(result.stdout)
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  it('computes the same canonical schema and fingerprint', () => {
    expect(output.canonical).toBe(newestSchema.canonical)
    expect(output.fingerprint).toBe(newestSchema.fingerprint.toString('hex'))
  })

  it('reads single-object encoding after its header', () => {
    expect(output.header).toBe('c301')
    expect(output.event).toEqual(goldenEvent)
    expect(output.left).toBe(0)
  })

  it('reads the events of a container file', () => {
    expect(output.container).toEqual(events)
  })

  it('queries the events of a container file', ({ skip }) => {
    if (output.duckdb === null) skip('DuckDB and its Avro extension are not installed')
    const { epoch, zone, clock, source } = goldenEvent
    const metrics = measurements.map(({ metric }) => metric)
    expect(output.duckdb).toEqual([
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

/** A non-negative long in Avro's variable-length zigzag encoding. */
function long(value: number): Buffer {
  const bytes: number[] = []
  let rest = value * 2
  for (; rest > 127; rest >>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}
