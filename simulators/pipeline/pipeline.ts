import { statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkaClient } from '../../cloud-bridge/kafka/configured-client.ts'
import type { TopicOffsets } from '../../cloud-bridge/ports/event-stream.ts'
import type { Config } from '../../config/config.ts'
import type { GatewayState } from '../../config/process/gateway-state.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { countDeadLetters } from '../../gateway/store/read/outbox-reader.ts'
import { createBuildingMessages } from '../building/messages.ts'
import { planBuilding } from '../building/plan.ts'
import { connectDevices } from '../devices/devices.ts'
import { KafkaProblem } from '../kafka/java.ts'
import { type LocalKafka, startLocalKafka } from '../kafka/local-kafka.ts'
import { fetchState, startSluiceProcess } from '../processes/sluice-process.ts'
import type { SupervisedProcess } from '../processes/supervisor.ts'
import { createPipelineTopics } from './pipeline-topics.ts'
import { createJudge, type RunCounts, type Verdict } from './verdict.ts'

const STALLED_MS = 60_000
const RETRY_MS = 1000
/** The devices connect to a gateway that answers, on a machine that may be slow. */
const CONNECT_MAX_MS = 600_000

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
  /** Environment variables for the gateway or the bridge alone, added to `env`. */
  extraEnv?: { gateway?: NodeJS.ProcessEnv; bridge?: NodeJS.ProcessEnv }
  cacheDir: string
  kafkaPort: number
  simulation: Simulation
  onProgress(line: string): void
  /** Aborts the start of the local Kafka and the wait for the processes. */
  signal?: AbortSignal
}

export type Pipeline = Awaited<ReturnType<typeof startPipeline>>

/**
 * Starts the complete pipeline on this machine: a Kafka if `kafka.brokers` is empty, its topics,
 * gateway, bridge and a simulated building. When no Kafka can be started (no Java, for example),
 * everything else starts, and `problem` says why. The parts start one after the other, so that
 * their starts do not add up in memory, and each start is waited for as long as its process lives.
 * Disposing ends the parts in the reverse order: devices, gateway, bridge, Kafka, and reports each
 * as progress. Rejects with CannotStart when another process has the port or the folder of the
 * Kafka, and when a process does not start.
 */
export async function startPipeline(options: PipelineOptions) {
  const { config, onProgress } = options
  await using opening = new AsyncDisposableStack()
  const dataDir = dirname(config.outbox.file)
  const { kafka, problem } = await startKafkaIfNone(options, dataDir)
  const useAs = <T extends AsyncDisposable>(name: string, part: T): T => {
    opening.use(part)
    opening.defer(() => onProgress(`stopping ${name}`))
    return part
  }
  if (kafka) useAs('Kafka', kafka)
  const brokers = kafka?.brokers ?? config.kafka.brokers
  const env = { ...options.env, ...(kafka && { SLUICE_KAFKA_BROKERS: brokers.join(',') }) }
  const { stream, topics } = await createKafkaClient({ ...config.kafka, brokers })
  const { readings, backfill } = config.kafka.topics
  const startedAtMs = Date.now()
  const readTopics = async () => {
    await createPipelineTopics(topics, config)
    return stream.topicOffsets([readings, backfill])
  }
  if (!problem) onProgress('creating the topics that are missing')
  const offsetsBefore = problem
    ? new Map<string, TopicOffsets>()
    : await untilDone(readTopics, { ...options, isLocal: kafka !== null })
  const processOptions = { ...options, logDir: join(dataDir, 'log'), onProblem: onProgress }
  const optionsOf = (name: 'gateway' | 'bridge') => ({
    ...processOptions,
    env: { ...env, ...options.extraEnv?.[name] },
  })
  const startPart = async (name: 'gateway' | 'bridge') => {
    onProgress(`starting the ${name}`)
    return useAs(`the ${name}`, await startSluiceProcess(name, config[name].http, optionsOf(name)))
  }
  const bridge = await startPart('bridge')
  const gateway = await startPart('gateway')
  const first = await gatewayStateOf(options, gateway)
  onProgress('connecting the simulated devices')
  const devices = useAs('the devices', await connectBuilding(config, options.simulation))
  const opened = opening.move()

  const states = async () => ({
    gateway: await fetchState<'gateway'>(config.gateway.http),
    bridge: await fetchState<'bridge'>(config.bridge.http),
  })
  return {
    ...{ kafka, problem, brokers, gateway, bridge, devices, states },
    /**
     * Waits until every stored event is in Kafka, or until the number of undelivered events has not
     * changed for `STALLED_MS`. Returns that number: 0 when all events are delivered, Infinity when
     * gateway or bridge does not answer.
     */
    async drain(): Promise<number> {
      await devices.drain(15_000)
      return waitUntilDelivered(states)
    },
    /** Reads the records of this run from Kafka and compares them with the devices' own record. */
    async judge(limits: Pick<RunCounts, 'minShare'> = {}): Promise<Verdict> {
      const last = (await gatewayStateOf(options, gateway)).lastSequence
      const { scheduled } = devices.counters()
      const counts = {
        ...{ ...limits, scheduled, stored: last - first.lastSequence },
        deadLetters: countDeadLetters(config.outbox.file, startedAtMs),
      }
      const runJudge = createJudge(devices.record, devices.runId, options.simulation.qos)
      if (problem) return { ...runJudge.conclude(counts), verdict: `incomplete: ${problem}` }
      for (const [topic, { end }] of await stream.topicOffsets([readings, backfill])) {
        const begin = offsetsBefore.get(topic)?.end ?? new Map()
        await stream.readBetween(topic, begin, end, record => runJudge.add(record, topic))
      }
      return runJudge.conclude(counts)
    },
    /** Hours until the disk is full, at the rate at which this run has stored bytes. */
    async diskHours(): Promise<number> {
      const now = (await states()).gateway
      const storedBytes = (now?.bytesSoFar ?? 0) - first.bytesSoFar
      const { bavail, bsize } = statfsSync(dataDir)
      const elapsedMs = Date.now() - startedAtMs
      return (bavail * bsize * elapsedMs) / Math.max(1, storedBytes) / 3_600_000
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await devices.drain(1000)
      await opened.disposeAsync()
    },
  }
}

/**
 * Starts a local Kafka when no broker is configured. `problem` says why the start was not possible.
 * Rejects with CannotStart when another process has the port or the folder: this Kafka may be the
 * one of another pipeline, whose data the user expects here.
 */
async function startKafkaIfNone(options: PipelineOptions, dataDir: string) {
  const { config, cacheDir, kafkaPort, onProgress, signal } = options
  const none: { kafka: LocalKafka | null; problem: string | null } = { kafka: null, problem: null }
  if (config.kafka.brokers.length > 0) return none
  try {
    const dir = join(dataDir, 'kafka')
    onProgress('starting a local Kafka (kafka.brokers is not configured)')
    const start = { dir, port: kafkaPort, cacheDir, onProgress, ...(signal && { signal }) }
    return { ...none, kafka: await startLocalKafka(start) }
  } catch (error) {
    if (!(error instanceof KafkaProblem)) throw error
    if (error.code === 'PORT_TAKEN') {
      throw new CannotStart(`${error.message}, or name another port with --kafka-port`)
    }
    if (error.code === 'FOLDER_TAKEN') throw new CannotStart(error.message)
    return { ...none, problem: error.message }
  }
}

/** Connects the devices of a simulated building to a gateway. */
export function connectBuilding({ gateway }: Config, simulation: Simulation) {
  const { devices: count, seed, ratePerSecond, ...rest } = simulation
  const devices = planBuilding({ seed, devices: count })
  const timing = { startMs: Date.now(), stepMs: 1000 / ratePerSecond }
  const next = createBuildingMessages({ devices, seed, ...timing })
  const { host, port } = gateway.mqtt
  const connecting = { host, port, connectTimeoutMs: CONNECT_MAX_MS }
  return connectDevices({ ...connecting, devices, next, ratePerSecond, ...rest })
}

/** Waits as `drain` of a pipeline does, and returns the number of undelivered events. */
async function waitUntilDelivered(states: Pipeline['states']): Promise<number> {
  let [undelivered, changedAtMs] = [Number.POSITIVE_INFINITY, performance.now()]
  while (undelivered > 0 && performance.now() - changedAtMs < STALLED_MS) {
    await sleep(200)
    const now = countUndelivered(await states())
    if (now !== undelivered) changedAtMs = performance.now()
    undelivered = now
  }
  return undelivered
}

/**
 * The state of the gateway, which may take long to answer on a busy machine. Rejects with the
 * reason of the signal when the signal aborts, and when nothing restarts the gateway any more.
 */
async function gatewayStateOf(
  { config, signal }: Pick<PipelineOptions, 'config' | 'signal'>,
  gateway: Pick<SupervisedProcess, 'state'>,
): Promise<GatewayState> {
  for (;;) {
    const state = await fetchState<'gateway'>(config.gateway.http)
    if (state) return state
    signal?.throwIfAborted()
    if (gateway.state.name === 'failed') {
      throw new Error(`the gateway has ended and is not restarted: ${gateway.state.reason}`)
    }
    await sleep(RETRY_MS)
  }
}

/**
 * Does some work with Kafka. Repeats work that a local Kafka lets fail, because it may be slow, and
 * reports each failure. A configured Kafka may be the wrong one: its failure is for a person.
 */
async function untilDone<T>(
  work: () => Promise<T>,
  {
    isLocal,
    onProgress,
    signal,
  }: Pick<PipelineOptions, 'onProgress' | 'signal'> & { isLocal: boolean },
): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isLocal) throw error
      onProgress(`waiting for Kafka: ${(error as Error).message}`)
      await sleep(RETRY_MS)
    }
  }
}

/**
 * The number of stored events that are not in Kafka yet: the number after the position of the live
 * range or the number in the backlog, whichever is larger. Infinity while gateway or bridge do not
 * answer.
 */
function countUndelivered({ gateway, bridge }: Awaited<ReturnType<Pipeline['states']>>): number {
  if (!gateway || !bridge?.backlog) return Number.POSITIVE_INFINITY
  const next = bridge.ranges.find(({ end }) => end === null)?.next ?? 0
  return Math.max(gateway.lastSequence + 1 - next, bridge.backlog.events)
}
