import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, inject, it } from 'vitest'
import { decodeEvent } from '../../config/event/sensor-reading.ts'
import { describeWithKafka, kafkaAt, readTopic } from '../setup/kafka/kafka.ts'
import { startTestStage } from './pipeline/pipeline-fixture.ts'

const run = promisify(execFile)
const launcher = fileURLToPath(new URL('../../sluice', import.meta.url))

/**
 * The folder of recordings of real rooms. They are outside the repository because of their licence,
 * so the folder may be missing.
 */
const roomsDir = fileURLToPath(
  new URL('../../../shared/data/sdh_smart_building/rooms', import.meta.url),
)
const ROOMS = 10

describeWithKafka('a replay of real rooms', () => {
  it.skipIf(!existsSync(roomsDir))(
    'delivers every value unchanged',
    async () => {
      const files = (await readdir(roomsDir)).slice(0, ROOMS).map(name => `${roomsDir}/${name}`)
      const topics = { readings: `rooms-${randomUUID()}` }
      await using stage = await startTestStage(
        { ratePerSecond: 1 },
        { brokers: inject('brokers'), topics },
      )
      const { host, port } = stage.config.gateway.mqtt
      const address = ['--host', host, '--port', String(port)]
      const how = ['--replay', ...files, '--speed', 'max', '--site', 'sdh', ...address]
      const env = { ...process.env, npm_lifecycle_event: undefined }
      const { stdout } = await run(process.execPath, [launcher, 'simulate', ...how], { env })
      const { published, acknowledged } = JSON.parse(stdout)
      expect(acknowledged).toBe(published)
      expect(await stage.drain()).toBe(0)
      const expected = (await Promise.all(files.map(rowsOf))).flat().sort()
      const found: string[] = []
      const records = (await readTopic(kafkaAt(inject('brokers')), topics.readings)).flat()
      records.forEach(({ value }) => {
        const { site, zone, device, measurements } = decodeEvent(value)
        const own = measurements.filter(({ metric }) => !metric.startsWith('simulated_'))
        const values = own.map(({ metric, number, text }) => `${metric}=${number ?? text}`)
        found.push(`${site}/${zone}/${device} ${values.join(' ')}`)
      })
      expect(found.length).toBe(expected.length)
      expect(found.sort()).toEqual(expected)
    },
    180_000,
  )
})

/** The rows of a file in the form in which this test writes events, parsed with `split` alone. */
async function rowsOf(file: string): Promise<string[]> {
  const room = file.split('/').at(-1)!.replace('.csv', '')
  const [header = '', ...rows] = (await readFile(file, 'utf8')).trim().split('\n')
  const names = header.split(',')
  return rows.map(row => {
    const cells = row.split(',').map((cell, column) => ({ cell, name: names[column]! }))
    const present = cells.filter(({ cell }) => cell !== '')
    const values = present.map(
      ({ cell, name }) => `${name}=${name === 'timestamp' ? cell : Number(cell)}`,
    )
    return `sdh/${room}/${room} ${values.join(' ')}`
  })
}
