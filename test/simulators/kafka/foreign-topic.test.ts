import { execFile, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, inject, it } from 'vitest'
import { newestSchema } from '../../../config/schemas/released.ts'
import { describeWithKafka } from '../../setup/kafka/kafka.ts'
import { startTestStage } from '../pipeline/pipeline-fixture.ts'

const run = promisify(execFile)
const local = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// A Python with fastavro and confluent-kafka.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const hasPython = spawnSync(python, ['-c', 'import fastavro, confluent_kafka']).status === 0
const hasKcat = spawnSync('kcat', ['-V']).status === 0

describeWithKafka('clients of other projects', () => {
  const startFilled = async (topics: { readings: string }) => {
    const stage = await startTestStage({}, { brokers: inject('brokers'), topics })
    await stage.devices.run(4000)
    expect(await stage.drain()).toBe(0)
    return stage
  }

  it.skipIf(!hasPython)(
    'confluent-kafka and fastavro decode every value',
    async () => {
      const topics = { readings: `foreign-${randomUUID()}` }
      await using stage = await startFilled(topics)
      const { total, length } = stage.devices.record
      const script = local('./foreign-topic.py')
      const schema = local(`../../../config/schemas/SensorReading.${newestSchema.version}.avsc`)
      const { stdout } = await run(python, [
        script,
        inject('brokers').join(),
        topics.readings,
        schema,
      ])
      const sum = (length * (length - 1)) / 2
      const records = total.published
      expect(JSON.parse(stdout)).toEqual({ records, misplaced: 0, partitionsPerZone: 1, sum })
    },
    60_000,
  )

  it.skipIf(!hasKcat)(
    'kcat reads the topic: keys are zones, each in one partition',
    async () => {
      const topics = { readings: `kcat-${randomUUID()}` }
      await using stage = await startFilled(topics)
      const format = ['-f', '%p %k %S\n', '-o', 'beginning', '-e', '-q']
      const from = ['-C', '-b', inject('brokers').join(), '-t', topics.readings]
      const { stdout } = await run('kcat', [...from, ...format], { maxBuffer: 2 ** 26 })
      const lines = stdout
        .trim()
        .split('\n')
        .map(line => line.split(' '))
      expect(lines.length).toBe(stage.devices.record.total.published)
      const partitions = Map.groupBy(lines, ([, zone]) => zone)
      expect(partitions.size).toBeGreaterThan(5)
      for (const [zone, found] of partitions) {
        expect(zone).toMatch(/^f\d/)
        expect(new Set(found.map(([partition]) => partition)).size).toBe(1)
      }
    },
    60_000,
  )
})
