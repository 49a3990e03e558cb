import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseNumber, parseTime } from '../../../cloud-bridge/recordings/cells.ts'
import {
  delimiterOf,
  openRecording,
  type RecordingOptions,
} from '../../../cloud-bridge/recordings/recording.ts'
import { mergeByTime } from '../../../simulators/replay/merge.ts'
import { connectReplay } from '../../../simulators/replay/replay.ts'
import { startBroker } from '../devices/devices-broker.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-replay-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function written(name: string, text: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text)
  return file
}

async function readAll(file: string, options: RecordingOptions = {}) {
  await using recording = await openRecording(file, options)
  return { recording, rows: await Array.fromAsync(recording.rows) }
}

describe('a recording', () => {
  it('is read row by row, with times, numbers, empty cells, quotes and a byte order mark', async () => {
    const file = await written(
      '510.csv',
      '\uFEFFtimestamp,co2,"light, lux",pir\r\n' +
        '2013-08-23 23:04:00,404.0,204.125,0.0\r\n' +
        '\r\n' +
        '"2013-08-23 23:05:00", 399.7142857142857 ,,"1e3"\r\n',
    )
    const { recording, rows } = await readAll(file)
    expect(recording.device).toEqual({ site: 'recording', zone: '510', name: '510' })
    const startMs = Date.UTC(2013, 7, 23, 23, 4)
    expect(rows).toEqual([
      {
        line: 2,
        observedAt: startMs,
        measurements: {
          ...{ timestamp: '2013-08-23 23:04:00', co2: 404, 'light, lux': 204.125, pir: 0 },
        },
      },
      {
        line: 4,
        observedAt: startMs + 60_000,
        measurements: { timestamp: '2013-08-23 23:05:00', co2: 399.7142857142857, pir: 1000 },
      },
    ])
  })

  it('may use semicolons, another time column, text columns, another zone and device', async () => {
    const file = await written('a.csv', 'state;when;t\nok, so far;1700000000;2\n;1700000000500;3')
    const { recording, rows } = await readAll(file, {
      ...{ site: 'hq', zone: 'f1', device: 'd', timeColumn: 'when', textColumns: ['state'] },
    })
    expect(recording.device).toEqual({ site: 'hq', zone: 'f1', name: 'd' })
    expect(rows).toEqual([
      {
        line: 2,
        observedAt: 1_700_000_000_000,
        measurements: { state: 'ok, so far', when: '1700000000', t: 2 },
      },
      { line: 3, observedAt: 1_700_000_000_500, measurements: { when: '1700000000500', t: 3 } },
    ])
  })

  it('may have decimal commas between semicolons or tabs, or where an option says so', async () => {
    const numbersIn = async (text: string, options: RecordingOptions = {}) =>
      (await readAll(await written('c.csv', text), options)).rows.map(row => row.measurements.t)
    expect(await numbersIn('\uFEFFts;t\n1;21,5\n2;-,25\n3;7\n')).toEqual([21.5, -0.25, 7])
    expect(await numbersIn('ts;t\n1;7\n2;21.5\n')).toEqual([7, 21.5])
    expect(await numbersIn('ts\tt\n1\t21,5\n')).toEqual([21.5])
    expect(await numbersIn('ts,t\n1,"21,5"\n', { decimal: 'comma' })).toEqual([21.5])
  })

  it.each([
    ['', ':1: the file is empty: give it a header line'],
    ['time,a,a\n', ':1: two columns are named "a": rename the column'],
    ['time,,a\n', ':1: column 2 has no name: rename the column'],
    ['time;a\n1;2,5\n2;2.5\n', ':3, column "a": "2.5" is not a number with a decimal comma'],
    ['time;a\n1;1.234,5\n', ':2, column "a": "1.234,5" is not a number: write a'],
    ['time,a\n1,"2,5"\n', ':2, column "a": "2,5" is not a number with a decimal point'],
    ['PK\0\x03', ':1: the file is no text: name a CSV file'],
    ['a,b\n', ':1: the header (a, b) has none of timestamp, time, datetime, date, ts: name the'],
    ['time,a\n1,2\n3\n', ':3: 1 cells under 2 columns: give every row'],
    ['time,a\n1,2\n3,x\n', ':3, column "a": "x" is not a number: write a number like 21.5'],
    ['time,a\n\n1,2\n\n3,x\n', ':5, column "a": "x" is not a number'],
    ['time,a\n1,NaN\n', ':2, column "a": "NaN" is not a number'],
    ['time,a\n1,1e999\n', ':2, column "a": 1e999 is too large'],
    ['time,a\nyesterday,2\n', ':2, column "time": "yesterday" is not a time: write it like 2026'],
    ['time,a\n1,2\n3,"4\n5,6\n', 'close the quote'],
    ['time,a\n1,"2"3\n', ':2: '],
  ])('names file, line, column and cure: %j', async (text, message) => {
    const file = await written('bad.csv', text)
    const failure = await readAll(file).then(
      () => 'none',
      (error: Error) => error,
    )
    expect(failure).toHaveProperty('name', 'RecordingError')
    expect((failure as Error).message).toContain(message)
    expect((failure as Error).message.startsWith(`${file}:`)).toBe(true)
  })

  it('refuses a column that the caller writes into every message', async () => {
    const file = await written('reserved.csv', 'time,simulated_number\n1,2\n')
    const opening = openRecording(file, { reservedNames: ['simulated_number'] })
    await expect(opening).rejects.toThrow(':1: "simulated_number" is written by Sluice itself')
  })

  it('that does not exist is named in the error', async () => {
    const opening = openRecording(join(folder, 'none.csv'))
    await expect(opening).rejects.toThrow(/none.csv cannot be read: ENOENT/)
  })
})

describe('cells', () => {
  it('keep the value of every number that is written', () => {
    fc.assert(
      fc.property(fc.double({ min: -(2 ** 53), max: 2 ** 53, noNaN: true }), number => {
        const { value } = parseNumber(String(number)) as { value: number }
        expect(value === number).toBe(true)
      }),
    )
    const large = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n })
    fc.assert(
      fc.property(large, integer => {
        const { value } = parseNumber(String(integer)) as { value: number | string }
        expect(BigInt(value)).toBe(integer)
      }),
    )
    expect(parseNumber('9007199254740993')).toEqual({ value: '9007199254740993' })
    expect(parseNumber('-.5')).toEqual({ value: -0.5 })
  })

  it('may contain times with and without a time zone', () => {
    const noon = Date.UTC(2026, 2, 1, 12)
    for (const text of [
      ...['2026-03-01 12:00', '2026-03-01T12:00:00.000Z', '2026-03-01 13:00:00+01:00'],
      ...['2026-03-01T07:00:00-0500', '2026-03-01 13:00:00 +01', String(noon), String(noon / 1000)],
    ]) {
      expect(parseTime(text)).toEqual({ value: noon })
    }
    for (const text of [
      '01.03.2026 12:00',
      '2026-13-01 12:00',
      '2026-02-30 12:00',
      '1e99',
      '12:00',
      '2026-03-01 25:00',
    ]) {
      expect(parseTime(text)).toHaveProperty('fault')
    }
  })

  it('are separated by semicolons only if the header has one outside quotes', () => {
    expect(delimiterOf('time,a')).toBe(',')
    expect(delimiterOf('time;a,b')).toBe(';')
    expect(delimiterOf('time,"a;b"')).toBe(',')
  })
})

describe('merged recordings', () => {
  it('are sorted by time, and each keeps its own order', async () => {
    const row = fc.tuple(fc.nat(50), fc.nat(1000))
    const files = fc.array(fc.array(row, { maxLength: 20 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(files, async rowsOfFiles => {
        const opened = await Promise.all(
          rowsOfFiles.map(async (rows, at) => {
            const lines = rows.map(([time], n) => `${1e12 + time},${n}`)
            return openRecording(await written(`m${at}.csv`, ['ts,n', ...lines, ''].join('\n')))
          }),
        )
        const merged = await Array.fromAsync(mergeByTime(opened))
        expect(merged).toHaveLength(rowsOfFiles.flat().length)
        for (const [at, recording] of opened.entries()) {
          const own = merged.filter(row => row.recording === recording)
          expect(own.map(({ reading }) => reading.measurements.n)).toEqual(
            rowsOfFiles[at]!.map((_, n) => n),
          )
        }
        // sorted files merge into a sorted sequence
        const sorted = rowsOfFiles.every(rows =>
          rows.every(([t], n) => n === 0 || rows[n - 1]![0] <= t),
        )
        const times = merged.map(({ timeMs }) => timeMs)
        if (sorted) expect(times).toEqual(times.toSorted((a, b) => a - b))
      }),
      { numRuns: 40 },
    )
  })
})

describe('a replay', () => {
  it('waits for the last row while acknowledgements arrive', async () => {
    const rows = Array.from({ length: 60 }, (_, n) => `${n},${n}`)
    const file = await written('slow.csv', ['ts,n', ...rows].join('\n'))
    await using broker = await startBroker({ acknowledgeAfterMs: 20 })
    await using connected = await connectReplay({
      ...{ files: [file], speed: Number.POSITIVE_INFINITY, inFlightMax: 1 },
      ...{ host: '127.0.0.1', port: broker.port },
    })
    await connected.run(new AbortController().signal)
    // All acknowledgements take 60 times 20 ms.
    expect(await connected.drain(1000)).toBe(0)
    expect(await connected.findUnsent()).toBeNull()
    expect(broker.arrivals).toHaveLength(60)
  })

  it('names the first row that was not sent, whether the row was read or not', async () => {
    const file = await written('u.csv', 'ts,n\n1000,0\n1001,1\n2e9,2\n3e9,3\n')
    await using broker = await startBroker()
    const to = { files: [file], host: '127.0.0.1', port: broker.port }
    await using connected = await connectReplay({ ...to, speed: 100 })
    await connected.run(100)
    expect(await connected.findUnsent()).toEqual({ file, line: 4 })
    await using stopped = await connectReplay({ ...to, speed: 100 })
    await stopped.run(AbortSignal.abort())
    expect(await stopped.findUnsent()).toEqual({ file, line: 2 })
  })

  it('publishes every row of every file once, in order, values unchanged', async () => {
    const rows = (start: number) =>
      Array.from({ length: 40 }, (_, n) => `2013-08-23 23:${10 + n}:00,${start + n / 3},`)
    const files = [
      await written('413.csv', ['timestamp,co2,humidity', ...rows(404)].join('\n')),
      await written('621.csv', ['timestamp,co2,humidity', ...rows(700)].join('\n')),
    ]
    await using broker = await startBroker()
    await using connected = await connectReplay({
      ...{ files, speed: Number.POSITIVE_INFINITY, site: 'sdh', runId: 'r1' },
      ...{ host: '127.0.0.1', port: broker.port },
    })
    await connected.run(new AbortController().signal)
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.counters()).toMatchObject({ scheduled: 80, acknowledged: 80 })
    const numbers = Array.from({ length: 80 }, (_, n) => n)
    const arrivals = broker.arrivals.toSorted((a, b) => a.number - b.number)
    expect(arrivals.map(({ number }) => number)).toEqual(numbers)
    expect(arrivals.map(({ topic }) => topic)).toEqual(
      numbers
        .map(n => ['413', '621'][n % 2]!)
        .map(room => `building/sdh/zone/${room}/sensor/${room}`),
    )
    expect(arrivals.map(({ body }) => body)).toEqual(
      numbers.map(n => ({
        simulated_run: 'r1',
        simulated_number: n,
        timestamp: `2013-08-23 23:${10 + Math.floor(n / 2)}:00`,
        co2: (n % 2 === 0 ? 404 : 700) + Math.floor(n / 2) / 3,
      })),
    )
  })

  it('keeps its speed: no row is sent before its time', async () => {
    const file = await written('s.csv', 'ts,n\n1000,0\n1001,1\n1002,2\n2e9,3\n')
    await using broker = await startBroker()
    await using connected = await connectReplay({
      ...{ files: [file], speed: 100, host: '127.0.0.1', port: broker.port },
    })
    await connected.run(100)
    await connected.drain(10_000)
    expect(broker.arrivals.map(({ body }) => body.n)).toEqual([0, 1, 2])
  })

  it('fails with the place of the faulty row, and publishes the rows before it', async () => {
    const file = await written('f.csv', 'ts,n\n1,0\n2,1\n3,two\n')
    await using broker = await startBroker()
    await using connected = await connectReplay({
      ...{ files: [file], speed: Number.POSITIVE_INFINITY, host: '127.0.0.1', port: broker.port },
    })
    await expect(connected.run(new AbortController().signal)).rejects.toThrow(
      `${file}:4, column "n": "two" is not a number`,
    )
    await connected.drain(10_000)
    expect(connected.record.total.acknowledged).toBe(2)
  })

  it('rejects no files, speed 0, and two files that would be one device', async () => {
    const file = await written('413.csv', 'ts,n\n')
    const to = { host: '127.0.0.1', port: 1 }
    await expect(connectReplay({ ...to, files: [] })).rejects.toThrow('files is empty')
    await expect(connectReplay({ ...to, files: [file], speed: 0 })).rejects.toThrow('speed is 0')
    await expect(connectReplay({ ...to, files: [file, file] })).rejects.toThrow(
      'are both device 413',
    )
  })
})
