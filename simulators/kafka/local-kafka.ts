// A node of a real Kafka on this machine: broker and controller in one process, its data kept.
// Alone it is a whole Kafka; tests also give it neighbours and further listeners.
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { acquireLock } from '../../gateway/store/file/lock.ts'
import { endProcess, killGroup, spawnGuarded } from '../processes/supervisor.ts'
import { type ClusterMetadata, fetchClusterMetadata } from './cluster-metadata.ts'
import { findFreePort, isPortFree } from './free-port.ts'
import { fetchKafkaJars } from './jars.ts'
import { findJavaProblem, type JavaTools, KafkaProblem, toolsInPath } from './java.ts'
import { type ExtraBrokerSettings, serverProperties } from './server-properties.ts'

const readyMaxMs = 60_000
const readyPollMs = 50
const disposeDeadlineMs = 5_000
const logTailBytes = 2_000
const addressTaken = 'Address already in use'

export type LocalKafkaOptions = {
  /** what the broker keeps: data, its settings and kafka.log; a second start goes on with it */
  dir: string
  /** of 127.0.0.1; 0 takes a free one, which need not be the one of the last start */
  port: number
  /** where the jars are kept between runs, outside node_modules */
  cacheDir: string
  /** takes one line of progress, for people */
  onProgress?: (line: string) => void
  tools?: JavaTools
  signal?: AbortSignal
} & ExtraBrokerSettings

export type LocalKafka = AsyncDisposable & {
  readonly brokers: string[]
  readonly pid: number
  /** Promise: it has ended and its data is closed (SIGTERM, after deadlineMs SIGKILL). */
  stop(deadlineMs?: number): Promise<void>
  /** Promise: it has ended as in a crash (SIGKILL). */
  kill(): Promise<void>
  /** Promise: ready again at the same address with the same data; stops it first if it runs. */
  restart(): Promise<void>
  /** It hangs (SIGSTOP): connections stay open, nothing answers. */
  suspend(): void
  /** The end of suspend(). */
  resume(): void
}

/**
 * Promise: a Kafka that answers. Fetches the jars first if they are not cached. Rejects with a
 * KafkaProblem that names the cure, or with the signal's reason when aborted. It is in a process
 * group of its own, so a Ctrl-C in the terminal leaves it to us, and it never outlives us.
 */
export async function startLocalKafka(options: LocalKafkaOptions): Promise<LocalKafka> {
  const { cacheDir, onProgress = () => {}, tools = toolsInPath, signal } = options
  const dir = resolve(options.dir)
  const problem = await findJavaProblem(tools)
  if (problem) throw problem
  const jars = await fetchKafkaJars({ cacheDir, onProgress, tools, signal })
  const port = options.port === 0 ? await findFreePort() : options.port
  if (!(await isPortFree(port))) throw portTaken(port)
  const clusterId = await prepare(dir, options.clusterNode?.clusterId)
  const lock = holdFolder(dir)
  onProgress(`starting Kafka on port ${port}`)
  const { listeners, clusterNode, properties } = options
  const more = { listeners, clusterNode, properties }
  const node: Node = { java: tools.java, jars, dir, port, clusterId, more }
  let broker = await begin(node, signal).catch(error => {
    lock.close()
    throw error
  })

  const stop = async (deadlineMs = disposeDeadlineMs) => {
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
      await endProcess(broker, disposeDeadlineMs)
      broker = await run(node, undefined)
    },
    suspend: () => void broker.kill('SIGSTOP'),
    resume: () => void broker.kill('SIGCONT'),
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** Two brokers on one folder corrupt it: Kafka's own lock comes too late for its metadata. */
function holdFolder(dir: string): { close(): void } {
  try {
    return acquireLock(join(dir, 'kafka.lock'))
  } catch (cause) {
    const message = `another Kafka works in ${dir}: end it first`
    throw new KafkaProblem('FOLDER_TAKEN', message, { cause })
  }
}

async function begin(node: Node, signal: AbortSignal | undefined): Promise<ChildProcess> {
  if (!existsSync(join(node.dir, 'data'))) await format(node)
  return run(node, signal)
}

type Node = {
  java: string
  jars: string
  dir: string
  port: number
  clusterId: string
  more: ExtraBrokerSettings
}

// The folder's cluster id: the one its data was formatted with, the one given, or a new one.
async function prepare(dir: string, givenId: string | undefined): Promise<string> {
  await mkdir(dir, { recursive: true })
  const kept = await readFile(join(dir, 'data', 'meta.properties'), 'utf8').catch(() => '')
  const [, keptId] = /^cluster\.id=(.*)$/m.exec(kept) ?? []
  return keptId ?? givenId ?? newClusterId()
}

/** An id that no other Kafka has. */
export function newClusterId(): string {
  const id = randomBytes(16).toString('base64url')
  // A leading '-' would be read as an option by the tool that formats.
  return id.startsWith('-') ? newClusterId() : id
}

// Into a folder of another name, renamed when done: a format that was cut off leaves no data that
// looks whole.
async function format(node: Node): Promise<void> {
  const unfinished = 'data.unfinished'
  await rm(join(node.dir, unfinished), { recursive: true, force: true })
  const settings = await writeSettings(node, unfinished)
  const tool = ['kafka.tools.StorageTool', 'format', '-t', node.clusterId, '-c', settings]
  const formatter = await spawnJava(node, tool)
  await once(formatter, 'exit')
  if (formatter.exitCode !== 0) throw await notReady(node, 'its folder could not be formatted')
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
 * Whether the answer on our port means ready: it names a controller, our node and our cluster.
 * Another Kafka that got hold of the port passes every check but the last. No answer: not yet.
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
  while (performance.now() - startedAtMs < readyMaxMs) {
    signal?.throwIfAborted()
    if (broker.exitCode !== null || broker.signalCode !== null) {
      throw await notReady(node, 'it ended while starting')
    }
    const metadata = await fetchClusterMetadata(node.port).catch(() => null)
    const state = readiness(metadata, node.clusterId, node.more.clusterNode?.nodeId)
    if (state === 'another-kafka') throw portTaken(node.port)
    if (state === 'ready') return
    await sleep(readyPollMs)
  }
  throw await notReady(node, `no answer within ${readyMaxMs / 1000} s`)
}

async function writeSettings(node: Node, dataDir: string): Promise<string> {
  const { port, more } = node
  const { clusterNode } = more
  const controllerPort =
    clusterNode?.controllerPorts[clusterNode.nodeId - 1] ?? (await findFreePort())
  const settings = serverProperties({ port, controllerPort, dataDir, ...more })
  await writeFile(join(node.dir, 'server.properties'), settings)
  return 'server.properties'
}

async function spawnJava(node: Node, command: string[]): Promise<ChildProcess> {
  // Kafka unpacks native libraries here at each start and removes them only at a clean end.
  const temporary = join(node.dir, 'tmp')
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  const flags = [
    // the smallest collector and only the quick compiler: less memory and an earlier start
    ...['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xms32m', '-Xmx256m'],
    // no file of statistics in /tmp that a crash would leave
    '-XX:-UsePerfData',
    `-Djava.io.tmpdir=${temporary}`,
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    ...['-cp', join(node.jars, '*')],
  ]
  // The log of the run before is kept, because it says how that one ended.
  const logFile = join(node.dir, 'kafka.log')
  await rename(logFile, `${logFile}.1`).catch(() => {})
  const log = await open(logFile, 'w')
  const stdio: ['ignore', number, number] = ['ignore', log.fd, log.fd]
  const started = spawnGuarded(node.java, [...flags, ...command], { cwd: node.dir, stdio })
  return started.finally(() => log.close())
}

function portTaken(port: number): KafkaProblem {
  const cure = 'end what listens there, or set kafka.brokers to it if it is a Kafka to be used'
  return new KafkaProblem('PORT_TAKEN', `port ${port} is taken: ${cure}`)
}

// Its log says why; the two reasons that happen in practice are said in our words.
async function notReady(node: Node, what: string): Promise<KafkaProblem> {
  const file = join(node.dir, 'kafka.log')
  const tail = (await readFile(file, 'utf8').catch(() => '')).slice(-logTailBytes)
  if (tail.includes(addressTaken)) return portTaken(node.port)
  return new KafkaProblem('NOT_READY', `Kafka did not start: ${what}: see ${file}`, { cause: tail })
}
