import { randomBytes } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { createFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { Framing } from '../../../cloud-bridge/ports/event-sink.ts'
import { defaults } from '../../../config/config.ts'
import { createEventIds } from '../../../config/event/event-id.ts'
import { createPartitioner } from '../../../config/event/partitioner.ts'
import { encodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { freshTopic, openKafkaSink } from '../../setup/kafka/kafka.ts'
import { BASELINE_CLIENT } from '../arguments.ts'
import { createValues, locationOf } from '../load/readings.ts'
import type { Measurement } from '../measure/figures.ts'
import type { BenchCase } from './bench-case.ts'

const WARM_UP_BATCHES = 20
const BATCHES = 100
const BATCH_EVENTS = 1000
const DEVICES = 50
const PARTITIONS = 6
const SCHEMA_ID = 7

type Stored = { zone: string; value: Buffer }
type Way = { name: string; frame: Framing; traced: boolean }

const framingOf = (schemaIdOf: (() => number) | null, cloudEvents: boolean) =>
  createFraming({ schemaIdOf, cloudEvents })
const withIds = () => SCHEMA_ID
const ways: Way[] = [
  { name: 'single object', frame: framingOf(null, false), traced: false },
  { name: 'wire format', frame: framingOf(withIds, false), traced: false },
  { name: 'wire format, traceparent', frame: framingOf(withIds, false), traced: true },
  { name: 'wire format, CloudEvents', frame: framingOf(withIds, true), traced: false },
]

/**
 * The cost of each framing: CPU to frame, CPU to frame and send, and bytes in Kafka (zstd). The
 * batches have the size of the batches in which the bridge sends a backlog.
 */
export const framing: BenchCase = {
  needsKafka: true,
  size: () => ({ events: BATCHES * BATCH_EVENTS }),
  async run(bench) {
    const { brokers } = await bench.kafka()
    const kafka = { ...defaults.kafka, client: BASELINE_CLIENT, brokers }
    const figures: Measurement[] = []
    for (const { name: of, frame, traced } of ways) {
      const topic = await freshTopic(kafka, PARTITIONS)
      const place = createPartitioner(PARTITIONS)
      await using sink = await openKafkaSink(kafka)
      const next = startBatches(traced)
      let [framingMs, allMs] = [0, 0]
      for (let batch = -WARM_UP_BATCHES; batch < BATCHES; batch++) {
        const events = next()
        const since = process.cpuUsage()
        const framed = await frame(topic, events)
        const framedMs = cpuMs(since)
        const records = events.map(({ zone }, index) => ({
          ...place(zone),
          value: framed.values[index]!,
          headers: framed.headers[index]!,
        }))
        await sink.send({ topic, records })
        if (batch < 0) continue
        framingMs += framedMs
        allMs += cpuMs(since)
        bench.signal.throwIfAborted()
      }
      const bytes = await bytesOf(topic, brokers)
      const perEvent = 1 / (BATCHES * BATCH_EVENTS)
      const all = 1 / ((BATCHES + WARM_UP_BATCHES) * BATCH_EVENTS)
      figures.push(
        { figure: 'CPU, framing', of, unit: 's/million', value: framingMs * perEvent * 1000 },
        {
          figure: 'CPU, framing and sending',
          of,
          unit: 's/million',
          value: allMs * perEvent * 1000,
        },
        { figure: 'in Kafka', of, unit: 'bytes/event', value: bytes * all },
      )
    }
    return figures
  },
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

async function bytesOf(name: string, bootstrapBrokers: string[]): Promise<number> {
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers })
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  try {
    const found = await admin.describeLogDirs({ topics: [{ name, partitions }] })
    return found
      .flatMap(({ results }) => results.flatMap(({ topics }) => topics))
      .flatMap(topic => topic.partitions)
      .reduce((sum, { partitionSize }) => sum + Number(partitionSize), 0)
  } finally {
    await admin.close()
  }
}

/**
 * Creates batches of stored events of a building. With `traced`, each event has its own
 * traceparent.
 */
function startBatches(traced: boolean): () => Stored[] {
  const gateway = 'gateway'
  const epoch = 123_456_789_012
  const idOf = createEventIds(gateway, epoch)
  const sources = Array.from({ length: DEVICES }, (_, device) => ({
    place: locationOf(device),
    values: createValues(device),
  }))
  const zoneSequences = new Map<string, number>()
  let sequence = 0
  const next = (): Stored => {
    const { place, values } = sources[++sequence % DEVICES]!
    const { topic, ...where } = place
    const zoneSequence = (zoneSequences.get(place.zone) ?? 0) + 1
    zoneSequences.set(place.zone, zoneSequence)
    const measurements = Object.entries(values()).map(([metric, number]) => ({
      ...{ metric, number: number / 100, flag: null, text: null, unit: null },
    }))
    const event: SensorReading = {
      ...{ id: idOf(sequence), gateway, epoch, sequence, zoneSequence, ...where },
      ...{ observedAt: null, receivedAt: 1_700_000_000_000 + sequence, clock: 'SYNCED' },
      measurements,
      source: { topic, format: 'json' },
      traceparent: traced ? `00-${hex(16)}-${hex(8)}-01` : null,
    }
    return { zone: place.zone, value: encodeEvent(event) }
  }
  return () => Array.from({ length: BATCH_EVENTS }, next)
}

const hex = (bytes: number) => randomBytes(bytes).toString('hex')
