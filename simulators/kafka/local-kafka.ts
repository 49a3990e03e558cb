// A Kafka node on this machine: broker and controller in one process, with durable data. One node
// is a complete Kafka; tests also start clusters and add listeners.
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { acquireLock, LockedError } from '../../gateway/store/file/lock.ts'
import { endProcess, killGroup, spawnGuarded } from '../processes/supervisor.ts'
import { type ClusterMetadata, fetchClusterMetadata } from './cluster-metadata.ts'
import { findFreePort, isPortFree } from './free-port.ts'
import { fetchKafkaJars } from './jars.ts'
import { findJavaProblem, type JavaTools, KafkaProblem, toolsInPath } from './java.ts'
import { type ExtraBrokerSettings, serverProperties } from './server-properties.ts'

/** How often a wait for the broker is reported. */
const REPORT_EVERY_MS = 10_000
const READY_POLL_MS = 50
const DISPOSE_DEADLINE_MS = 5_000
const LOG_TAIL_BYTES = 2_000
const ADDRESS_TAKEN = 'Address already in use'

export type LocalKafkaOptions = {
  /**
   * The folder of the data, the settings and kafka.log. A second start in the folder continues with
   * its data.
   */
  dir: string
  /** The port of 127.0.0.1; 0 chooses a free port, which may differ from start to start. */
  port: number
  /** The folder in which the jars stay between runs, outside node_modules. */
  cacheDir: string
  /** Called with one line of progress for people. */
  onProgress?: (line: string) => void
  tools?: JavaTools
  signal?: AbortSignal
} & ExtraBrokerSettings

export type LocalKafka = AsyncDisposable & {
  readonly brokers: string[]
  readonly pid: number
  /**
   * Ends the broker cleanly (SIGTERM; SIGKILL after deadlineMs). Resolves when the process has
   * ended.
   */
  stop(deadlineMs?: number): Promise<void>
  /** Crashes the broker (SIGKILL). Resolves when the process has ended. */
  kill(): Promise<void>
  /**
   * Stops the broker if it runs, and starts it with the same address and data. Resolves when the
   * broker is ready.
   */
  restart(): Promise<void>
  /** Suspends the broker (SIGSTOP): connections stay open, and no request gets a response. */
  suspend(): void
  /** Lets a suspended broker continue (SIGCONT). */
  resume(): void
}

/**
 * Starts a Kafka and resolves when it is ready. Fetches the jars first if they are not cached.
 * Rejects with a KafkaProblem that names the cure, or with the reason of the signal when aborted.
 * The broker has a process group of its own, so the Ctrl-C of a terminal does not reach it, and it
 * never outlives this process.
 */
export async function startLocalKafka(options: LocalKafkaOptions): Promise<LocalKafka> {
  const { cacheDir, onProgress = () => {}, tools = toolsInPath, signal } = options
  const dir = resolve(options.dir)
  const problem = await findJavaProblem(tools)
  if (problem) throw problem
  const port = options.port === 0 ? await findFreePort() : options.port
  // Before the jars, because their fetch may take minutes.
  if (!(await isPortFree(port))) throw portTaken(port)
  const jars = await fetchKafkaJars({ cacheDir, onProgress, tools, signal })
  const clusterId = await prepare(dir, options.clusterNode?.clusterId)
  const lock = lockFolder(dir)
  onProgress(`starting Kafka on port ${port}`)
  const { listeners, clusterNode, properties } = options
  const extraSettings = { listeners, clusterNode, properties }
  const node: Node = { java: tools.java, jars, dir, port, clusterId, extraSettings, onProgress }
  let broker = await startFirst(node, signal).catch(error => {
    lock.close()
    throw error
  })

  const stop = async (deadlineMs = DISPOSE_DEADLINE_MS) => {
    await endProcess(broker, deadlineMs)
    lock.close()
  }
  return {
    brokers: [`127.0.0.1:${port}`],
    get pid() {
      return broker.pid!
    },
    stop,
    async kill() {
      killGroup(broker, 'SIGKILL')
      await endProcess(broker, 0)
    },
    async restart() {
      await endProcess(broker, DISPOSE_DEADLINE_MS)
      broker = await run(node, undefined)
    },
    suspend: () => void broker.kill('SIGSTOP'),
    resume: () => void broker.kill('SIGCONT'),
    [Symbol.asyncDispose]: () => stop(),
  }
}

/**
 * Locks the folder. Two brokers would corrupt the folder, because Kafka writes its metadata before
 * it takes its own lock.
 */
function lockFolder(dir: string): { close(): void } {
  try {
    return acquireLock(join(dir, 'kafka.lock'))
  } catch (cause) {
    if (!(cause instanceof LockedError)) throw cause
    const cure = 'it may be another ./sluice up. End it first, or choose another outbox.file'
    const message = `${cause.holder} runs a Kafka in the folder ${dir}: ${cure}`
    throw new KafkaProblem('FOLDER_TAKEN', message, { cause })
  }
}

/** Starts the broker, and formats the data folder first if there is none. */
async function startFirst(node: Node, signal: AbortSignal | undefined): Promise<ChildProcess> {
  if (!existsSync(join(node.dir, 'data'))) await format(node)
  return run(node, signal)
}

type Node = {
  java: string
  jars: string
  dir: string
  port: number
  clusterId: string
  extraSettings: ExtraBrokerSettings
  onProgress: (line: string) => void
}

// Returns the cluster id: that of the formatted data, else the given id, else a new id.
async function prepare(dir: string, givenId: string | undefined): Promise<string> {
  await mkdir(dir, { recursive: true })
  const metadata = await readFile(join(dir, 'data', 'meta.properties'), 'utf8').catch(() => '')
  const [, formattedId] = /^cluster\.id=(.*)$/m.exec(metadata) ?? []
  return formattedId ?? givenId ?? newClusterId()
}

/** A new random cluster id: 16 bytes in base64url. */
export function newClusterId(): string {
  const id = randomBytes(16).toString('base64url')
  // Kafka's storage tool would parse a leading '-' as an option.
  return id.startsWith('-') ? newClusterId() : id
}

// Formats Kafka's data folder under another name and renames the folder afterwards, so that an
// interrupted format leaves no data folder that looks complete.
async function format(node: Node): Promise<void> {
  const unfinished = 'data.unfinished'
  await rm(join(node.dir, unfinished), { recursive: true, force: true })
  const settings = await writeSettings(node, unfinished)
  const tool = ['kafka.tools.StorageTool', 'format', '-t', node.clusterId, '-c', settings]
  const formatter = await spawnJava(node, tool)
  await once(formatter, 'exit')
  if (formatter.exitCode !== 0) throw await notReady(node, 'its data folder could not be formatted')
  await rename(join(node.dir, unfinished), join(node.dir, 'data'))
}

async function run(node: Node, signal: AbortSignal | undefined): Promise<ChildProcess> {
  signal?.throwIfAborted()
  const settings = await writeSettings(node, 'data')
  const broker = await spawnJava(node, ['kafka.Kafka', settings])
  try {
    await untilReady(node, broker, signal)
  } catch (error) {
    await endProcess(broker, 0)
    throw error
  }
  return broker
}

/**
 * Whether the metadata response on our port means that our node is ready: the response names a
 * controller, our node and our cluster. Another Kafka on the port passes every check except the
 * cluster id. `metadata` is null when nothing responds on the port; the node is not ready then.
 */
export function readiness(
  metadata: ClusterMetadata | null,
  clusterId: string,
  nodeId = 1,
): 'ready' | 'not-yet' | 'another-kafka' {
  if (metadata === null) return 'not-yet'
  if (metadata.clusterId !== clusterId) return 'another-kafka'
  return metadata.controllerId >= 0 && metadata.brokerIds.includes(nodeId) ? 'ready' : 'not-yet'
}

async function untilReady(
  node: Node,
  broker: ChildProcess,
  signal: AbortSignal | undefined,
): Promise<void> {
  const startedAtMs = performance.now()
  for (let reports = 0; ; await sleep(READY_POLL_MS)) {
    signal?.throwIfAborted()
    if (broker.exitCode !== null || broker.signalCode !== null) {
      throw await notReady(node, 'its process ended before it was ready')
    }
    const metadata = await fetchClusterMetadata(node.port).catch(() => null)
    const state = readiness(metadata, node.clusterId, node.extraSettings.clusterNode?.nodeId)
    if (state === 'another-kafka') throw portTaken(node.port)
    if (state === 'ready') return
    const waitedMs = performance.now() - startedAtMs
    if (waitedMs < (reports + 1) * REPORT_EVERY_MS) continue
    reports++
    const seconds = Math.round(waitedMs / 1000)
    const log = join(node.dir, 'kafka.log')
    node.onProgress(
      `waiting for Kafka for ${seconds} s: process ${broker.pid} starts; its log is ${log}`,
    )
  }
}

async function writeSettings(node: Node, dataDir: string): Promise<string> {
  const { port, extraSettings } = node
  const { clusterNode } = extraSettings
  const controllerPort =
    clusterNode?.controllerPorts[clusterNode.nodeId - 1] ?? (await findFreePort())
  const settings = serverProperties({ port, controllerPort, dataDir, ...extraSettings })
  await writeFile(join(node.dir, 'server.properties'), settings)
  return 'server.properties'
}

async function spawnJava(node: Node, command: string[]): Promise<ChildProcess> {
  // Kafka unpacks native libraries here at each start, and removes them only when it ends cleanly.
  const temporary = join(node.dir, 'tmp')
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  const flags = [
    // The smallest collector and only the quick compiler: less memory and an earlier start.
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xms32m', '-Xmx256m'],
    // Without a statistics file in /tmp, which would stay there after a crash.
    '-XX:-UsePerfData',
    `-Djava.io.tmpdir=${temporary}`,
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    ...['-cp', join(node.jars, '*')],
  ]
  // The log of the previous run stays as kafka.log.1, because it says how that run ended.
  const logFile = join(node.dir, 'kafka.log')
  await rename(logFile, `${logFile}.1`).catch(() => {})
  const log = await open(logFile, 'w')
  const stdio: ['ignore', number, number] = ['ignore', log.fd, log.fd]
  const started = spawnGuarded(node.java, [...flags, ...command], { cwd: node.dir, stdio })
  return started.finally(() => log.close())
}

function portTaken(port: number): KafkaProblem {
  const cure = 'end the process that listens there, or set kafka.brokers if it is the Kafka to use'
  return new KafkaProblem('PORT_TAKEN', `port ${port} is taken: ${cure}`)
}

// Creates the error for a broker that did not start; its cause is the end of the broker's log. The
// one frequent reason, a port in use, has an error of its own.
async function notReady(node: Node, reason: string): Promise<KafkaProblem> {
  const file = join(node.dir, 'kafka.log')
  const tail = (await readFile(file, 'utf8').catch(() => '')).slice(-LOG_TAIL_BYTES)
  if (tail.includes(ADDRESS_TAKEN)) return portTaken(node.port)
  const message = `Kafka did not start: ${reason}: see ${file}`
  return new KafkaProblem('NOT_READY', message, { cause: tail })
}
