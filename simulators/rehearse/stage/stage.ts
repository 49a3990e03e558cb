import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, describeFaults, loadConfig } from '../../../config/config.ts'
import { findFreePort } from '../../kafka/free-port.ts'
import { type Pipeline, type Simulation, startPipeline } from '../../pipeline/pipeline.ts'

const building: Simulation = { devices: 100, connections: 20, ratePerSecond: 1000, qos: 1, seed: 1 }

export type StageOptions = {
  simulation: Partial<Simulation>
  /** The folder of the jars of a local Kafka, which is started unless `kafka.brokers` is given. */
  cacheDir: string
  kafka?: { brokers?: string[]; topics?: object }
  /** The configured `inbox.settleMs`; by default the default of the configuration. */
  settleMs?: number
  env: NodeJS.ProcessEnv
  /** Environment variables for the gateway or the bridge alone, added to `env`. */
  extraEnv?: { gateway?: NodeJS.ProcessEnv; bridge?: NodeJS.ProcessEnv }
}

export type Stage = Pipeline & { dir: string; config: Config; configFile: string }

/**
 * Starts a pipeline in a temporary folder and on free ports. Disposing ends the pipeline and
 * removes the folder. When a part does not start, rejects with an Error that contains all progress
 * lines.
 */
export async function startStage(options: StageOptions): Promise<Stage> {
  const { simulation, cacheDir, env, extraEnv } = options
  const dir = await mkdtemp(join(tmpdir(), 'sluice-stage-'))
  const configFile = join(dir, 'sluice.yaml')
  const config = await writeConfig(dir, configFile, options)
  const progress: string[] = []
  try {
    const pipeline = await startPipeline({
      config,
      configFile,
      env,
      cacheDir,
      kafkaPort: 0,
      simulation: { ...building, ...simulation },
      onProgress: line => progress.push(line),
      ...(extraEnv && { extraEnv }),
    })
    const { judge } = pipeline
    const dispose = pipeline[Symbol.asyncDispose].bind(pipeline)
    return Object.assign(pipeline, {
      dir,
      config,
      configFile,
      // While a gateway is down or the machine is busy, fewer messages are acknowledged than
      // scheduled.
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
      id: 'rehearsed',
      mqtt: { port: mqtt },
      http: { port: gateway },
      clock: { sources: ['timesyncd'] as const, syncedFile: join(dir, 'synchronized') },
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
  await writeFile(file, JSON.stringify(content)) // JSON is valid YAML
  const loaded = loadConfig({ file, env: {} })
  if ('config' in loaded) return loaded.config
  throw new Error(describeFaults(loaded.faults))
}
