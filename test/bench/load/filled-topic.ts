// Fills a topic with events of many devices: filled-topic.ts
// '{"brokers":[…],"topic":…,"events":…}'.
import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { type Batch, SinkUnavailable } from '../../../cloud-bridge/ports/event-sink.ts'
import { defaults } from '../../../config/config.ts'
import { createEventIds } from '../../../config/event/event-id.ts'
import { createPartitioner } from '../../../config/event/partitioner.ts'
import { encodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'

export type FillTopic = {
  brokers: readonly string[]
  topic: string
  partitions: number
  events: number
  devices: number
}

const RETRY_AFTER_MS = 200
const BATCH = 5000
const ZONES = 48
const EPOCH = 123_456_789
/** The time between two readings of a device. */
const EVERY_MS = 5000
const START = Date.UTC(2026, 10, 20)

const { brokers, topic, partitions, events, devices } = JSON.parse(process.argv[2]!) as FillTopic
const kafka = await createKafkaClient({ ...defaults.kafka, client: 'platformatic', brokers })
const sink = kafka.openSink()
const place = createPartitioner(partitions)
const sequences = new Map<string, number>()
const idOf = createEventIds('bench', EPOCH)
let sum = 0

for (let first = 0; first < events; first += BATCH) {
  const count = Math.min(BATCH, events - first)
  const records = Array.from({ length: count }, (_, at) => recordOf(first + at))
  await deliver({ topic, records })
}
process.stdout.write(`${JSON.stringify({ sum })}\n`)
process.exit()

/**
 * Sends the same batch until Kafka stores it, because a Kafka that has just started is not ready at
 * once.
 */
async function deliver(batch: Batch): Promise<void> {
  for (;;) {
    try {
      const fates = await sink.send(batch)
      const refused = fates.filter(fate => fate !== null).length
      if (refused > 0) throw new Error(`Kafka refused ${refused} of ${fates.length} records`)
      return
    } catch (error) {
      if (!(error instanceof SinkUnavailable)) throw error
      await sleep(RETRY_AFTER_MS)
    }
  }
}

function recordOf(number: number) {
  const device = number % devices
  const zone = `z${device % ZONES}`
  const zoneSequence = (sequences.get(zone) ?? 0) + 1
  sequences.set(zone, zoneSequence)
  const measured = (metric: string, value: number) => ({
    ...{ metric, number: value, flag: null, text: null, unit: null },
  })
  const round = Math.floor(number / devices)
  const temperature = Math.round(2000 + 500 * Math.sin(round / 700 + device)) / 100
  sum += temperature
  const event: SensorReading = {
    id: idOf(number + 1),
    ...{ gateway: 'bench', epoch: EPOCH, sequence: number + 1, zoneSequence },
    ...{ site: 'hq', zone, device: `s${device}`, observedAt: null, clock: 'SYNCED' },
    receivedAt: START + Math.floor((number * EVERY_MS) / devices),
    measurements: [
      measured('temperature', temperature),
      measured('humidity', (4000 + ((device * 7 + round) % 900)) / 100),
      measured('energy_kwh', (device + round) / 1000),
    ],
    source: { topic: `building/hq/zone/${zone}/sensor/s${device}`, format: 'json' },
    traceparent: null,
  }
  return { ...place(zone), value: encodeEvent(event) }
}
