import { statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkaClient } from '../../cloud-bridge/kafka/configured-client.ts'
import type { TopicOffsets } from '../../cloud-bridge/ports/event-stream.ts'
import type { Config } from '../../config/config.ts'
import { countDeadLetters } from '../../gateway/store/read/outbox-reader.ts'
import { createBuildingMessages } from '../building/messages.ts'
import { planBuilding } from '../building/plan.ts'
import { connectDevices } from '../devices/devices.ts'
import { KafkaProblem } from '../kafka/java.ts'
import { type LocalKafka, startLocalKafka } from '../kafka/local-kafka.ts'
import { fetchState, startSluiceProcess } from '../processes/sluice-process.ts'
import { createPipelineTopics } from './pipeline-topics.ts'
import { createJudge, type RunCounts, type Verdict } from './verdict.ts'

const STALLED_MS = 60_000

export type Simulation = {
  devices: number
  connections: number
  ratePerSecond: number
  qos: 0 | 1 | 2
  seed: number
}

export type PipelineOptions = {
  config: Config
  configFile?: string | undefined
  env: NodeJS.ProcessEnv
  /** What only the gateway or the bridge gets besides. */
  partEnv?: { gateway?: NodeJS.ProcessEnv; bridge?: NodeJS.ProcessEnv }
  cacheDir: string
  kafkaPort: number
  simulation: Simulation
  onProgress(line: string): void
  /** Gives up starting. */
  signal?: AbortSignal
}

export type Pipeline = Awaited<ReturnType<typeof startPipeline>>

/**
 * Starts the whole main job on this machine: a Kafka if none is configured, its topics, gateway,
 * bridge and a simulated building. Without Java it starts all but Kafka and says so. What is
 * downstream is opened first, so that all ends in order: devices, gateway, bridge, Kafka.
 */
export async function startPipeline(options: PipelineOptions) {
  const { config, onProgress } = options
  await using opening = new AsyncDisposableStack()
  const dataDir = dirname(config.outbox.file)
  const { kafka, problem } = await findKafka(options, dataDir)
  if (kafka) opening.use(kafka)
  const brokers = kafka?.brokers ?? config.kafka.brokers
  const env = { ...options.env, ...(kafka && { SLUICE_KAFKA_BROKERS: brokers.join(',') }) }
  const { stream, topics } = await createKafkaClient({ ...config.kafka, brokers })
  const { readings, backfill } = config.kafka.topics
  const since = Date.now()
  let from = new Map<string, TopicOffsets>()
  if (!problem) {
    onProgress('creating the topics that are missing')
    await createPipelineTopics(topics, config)
    from = await stream.topicOffsets([readings, backfill])
  }
  const partOptions = { ...options, logDir: join(dataDir, 'log'), onProblem: onProgress }
  const optionsOf = (name: 'gateway' | 'bridge') => ({
    ...partOptions,
    env: { ...env, ...options.partEnv?.[name] },
  })
  onProgress('starting bridge and gateway')
  const bridge = opening.use(
    await startSluiceProcess('bridge', config.bridge.http, optionsOf('bridge')),
  )
  const gateway = opening.use(
    await startSluiceProcess('gateway', config.gateway.http, optionsOf('gateway')),
  )
  const first = (await fetchState<'gateway'>(config.gateway.http))!
  const devices = opening.use(await connectBuilding(config, options.simulation))
  const parts = opening.move()

  const states = async () => ({
    gateway: await fetchState<'gateway'>(config.gateway.http),
    bridge: await fetchState<'bridge'>(config.bridge.http),
  })
  return {
    ...{ kafka, problem, brokers, gateway, bridge, devices, states },
    /**
     * Waits until every stored event is in Kafka; gives what is left when nothing moves any more.
     */
    async drain(): Promise<number> {
      await devices.drain(15_000)
      let [left, moved] = [Number.POSITIVE_INFINITY, performance.now()]
      while (left > 0 && performance.now() - moved < STALLED_MS) {
        await sleep(200)
        const waiting = waitingIn(await states())
        if (waiting !== left) moved = performance.now()
        left = waiting
      }
      return left
    },
    /** Reads Kafka afresh and compares it with the devices' own record. */
    async judge(asked: Pick<RunCounts, 'minShare'> = {}): Promise<Verdict> {
      const last = (await states()).gateway?.lastSequence ?? first.lastSequence
      const { scheduled } = devices.counters()
      const counted = {
        ...{ ...asked, scheduled, stored: last - first.lastSequence },
        buried: countDeadLetters(config.outbox.file, since),
      }
      const verdict = createJudge(devices.record, devices.runId, options.simulation.qos)
      if (problem) return { ...verdict.conclude(counted), verdict: `incomplete: ${problem}` }
      for (const [topic, { end }] of await stream.topicOffsets([readings, backfill])) {
        const begin = from.get(topic)?.end ?? new Map()
        await stream.readBetween(topic, begin, end, record => verdict.add(record, topic))
      }
      return verdict.conclude(counted)
    },
    /** How long the disk lasts if events go on coming as fast as in this run, in hours. */
    async diskHours(): Promise<number> {
      const now = (await states()).gateway
      const bytes = (now?.bytesSoFar ?? 0) - first.bytesSoFar
      const { bavail, bsize } = statfsSync(dataDir)
      return (bavail * bsize * (Date.now() - since)) / Math.max(1, bytes) / 3_600_000
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await devices.drain(1000)
      await parts.disposeAsync()
    },
  }
}

async function findKafka(options: PipelineOptions, dataDir: string) {
  const { config, cacheDir, kafkaPort, onProgress, signal } = options
  const none: { kafka: LocalKafka | null; problem: string | null } = { kafka: null, problem: null }
  if (config.kafka.brokers.length > 0) return none
  try {
    const dir = join(dataDir, 'kafka')
    onProgress('starting a Kafka of our own (kafka.brokers is not configured)')
    const start = { dir, port: kafkaPort, cacheDir, onProgress, ...(signal && { signal }) }
    return { ...none, kafka: await startLocalKafka(start) }
  } catch (error) {
    if (!(error instanceof KafkaProblem)) throw error
    return { ...none, problem: error.message }
  }
}

function connectBuilding({ gateway }: Config, simulation: Simulation) {
  const { devices: count, seed, ratePerSecond, ...rest } = simulation
  const devices = planBuilding({ seed, devices: count })
  const timing = { startMs: Date.now(), stepMs: 1000 / ratePerSecond }
  const next = createBuildingMessages({ devices, seed, ...timing })
  return connectDevices({ ...gateway.mqtt, devices, next, ratePerSecond, ...rest })
}

/** How many events are not yet in Kafka, as far as both say; Infinity while one does not answer. */
function waitingIn({ gateway, bridge }: Awaited<ReturnType<Pipeline['states']>>): number {
  if (!gateway || !bridge?.backlog) return Number.POSITIVE_INFINITY
  const next = bridge.ranges.find(({ end }) => end === null)?.next ?? 0
  return Math.max(gateway.lastSequence + 1 - next, bridge.backlog.events)
}
