import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, describeFaults, loadConfig } from '../../../config/config.ts'
import { findFreePort } from '../../kafka/free-port.ts'
import { type Pipeline, type Simulation, startPipeline } from '../../pipeline/pipeline.ts'

const building: Simulation = { devices: 100, connections: 20, ratePerSecond: 1000, qos: 1, seed: 1 }

export type StageOptions = {
  simulation: Partial<Simulation>
  /** Where the jars of a local Kafka are kept; one is started unless `kafka.brokers` are given. */
  cacheDir: string
  kafka?: { brokers?: string[]; topics?: object }
  /** How long positions wait to be durable; as configured by default for want of it. */
  settleMs?: number
  env: NodeJS.ProcessEnv
  /** What only the gateway or the bridge gets besides. */
  partEnv?: { gateway?: NodeJS.ProcessEnv; bridge?: NodeJS.ProcessEnv }
}

export type Stage = Pipeline & { dir: string; config: Config; configFile: string }

/**
 * The main job in a directory and on ports of its own. Disposing it ends all and removes the
 * directory. Rejects with all progress lines when something did not start.
 */
export async function startStage(options: StageOptions): Promise<Stage> {
  const { simulation, cacheDir, env, partEnv } = options
  const dir = await mkdtemp(join(tmpdir(), 'sluice-stage-'))
  const configFile = join(dir, 'sluice.yaml')
  const config = await writeConfig(dir, configFile, options)
  const progress: string[] = []
  try {
    const job = await startPipeline({
      config,
      configFile,
      env,
      cacheDir,
      kafkaPort: 0,
      simulation: { ...building, ...simulation },
      onProgress: line => progress.push(line),
      ...(partEnv && { partEnv }),
    })
    const { judge } = job
    const dispose = job[Symbol.asyncDispose].bind(job)
    return Object.assign(job, {
      dir,
      config,
      configFile,
      // While a gateway is down, or its machine is busy, less is acknowledged than was due.
      judge: () => judge({ minShare: 0 }),
      [Symbol.asyncDispose]: async () => {
        await dispose()
        await rm(dir, { recursive: true, force: true })
      },
    })
  } catch (cause) {
    await rm(dir, { recursive: true, force: true })
    throw new Error(progress.join('\n'), { cause })
  }
}

async function writeConfig(
  dir: string,
  file: string,
  { kafka, settleMs }: StageOptions,
): Promise<Config> {
  const [mqtt, gateway, bridge] = [await findFreePort(), await findFreePort(), await findFreePort()]
  const content = {
    gateway: {
      mqtt: { port: mqtt },
      http: { port: gateway },
      clock: { syncedFile: join(dir, 'synchronized') },
    },
    outbox: { file: join(dir, 'outbox.db'), heartbeatMs: 1000 },
    inbox: { file: join(dir, 'inbox.db'), ...(settleMs && { settleMs }) },
    bridge: { http: { port: bridge }, backoffMaxMs: 2000 },
    consumers: {
      dir: join(dir, 'consumers'),
      sessionTimeoutMs: 6000,
      archive: { dir: join(dir, 'archive'), fileMaxAgeMs: 2000 },
    },
    kafka: { requestTimeoutMs: 3000, ...kafka },
  }
  await writeFile(file, JSON.stringify(content)) // JSON is YAML, too
  const loaded = loadConfig({ file, env: {} })
  if ('config' in loaded) return loaded.config
  throw new Error(describeFaults(loaded.faults))
}
