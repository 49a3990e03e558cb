import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, inject, it } from 'vitest'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { newestSchema } from '../../../config/schemas/released.ts'
import { describeWithRegistry } from '../../setup/registry/registry.ts'
import {
  delivered,
  OLDER_EVENTS,
  replayed,
  replayUpTo,
  startUpgradedSite,
} from './upgraded-site.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('./foreign.py', import.meta.url))
// A Python interpreter in which confluent-kafka[avro,schemaregistry] is installed.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const requirement = 'import confluent_kafka.schema_registry.avro'
const isInstalled = spawnSync(python, ['-c', requirement]).status === 0

type ForeignEvent = {
  version: number
  headers: Record<string, string>
  event: Partial<SensorReading>
}

describeWithRegistry('confluent-kafka with the registry', () => {
  it.skipIf(!isInstalled)(
    'reads every event of both topics, in both schemas',
    async () => {
      await using site = await startUpgradedSite()
      const { topics, events } = site
      const bridge = await site.start(true)
      await delivered(bridge, events)
      replayUpTo(bridge, topics.backfill, events)
      await replayed(bridge, events)
      await bridge.stop()
      const both = [topics.readings, topics.backfill]
      const servers = [inject('brokers').join(), inject('registryUrl')!]
      const { stdout } = await run(python, [script, ...servers, ...both], { maxBuffer: 2 ** 26 })
      const found = JSON.parse(stdout) as Record<string, ForeignEvent[]>
      for (const topic of both) {
        const ours = (await site.read(topic))
          .map(({ value }) => decodeEvent(value))
          .sort((a, b) => a.sequence - b.sequence)
        expect(found[topic]).toEqual(
          ours.map(({ traceparent, ...rest }, index) => ({
            version: index < OLDER_EVENTS ? 1 : newestSchema.version,
            headers: {
              'content-type': 'application/vnd.apache.avro',
              ...(traceparent !== null && { traceparent }),
            },
            event: index < OLDER_EVENTS ? rest : { ...rest, traceparent },
          })),
        )
      }
    },
    60_000,
  )
})
