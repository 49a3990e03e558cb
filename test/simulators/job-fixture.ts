import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { loadConfig } from '../../config/config.ts'
import { type Job, type Simulation, startJob } from '../../simulators/job.ts'
import { findFreePort } from '../../simulators/kafka/free-port.ts'
import { cacheDir } from '../setup/java.ts'

const building: Simulation = { devices: 100, connections: 20, ratePerSecond: 500, qos: 1, seed: 1 }

/**
 * The main job in a directory and on ports of its own, with a Kafka of its own unless `brokers`
 * are given. Disposing it ends all and removes the directory.
 */
export async function startTestJob(
  simulation: Partial<Simulation>,
  kafka: { brokers?: string[]; topics?: object } = {},
): Promise<Job & { config: ReturnType<typeof configOf> }> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-job-'))
  const [mqtt, gateway, bridge] = [await findFreePort(), await findFreePort(), await findFreePort()]
  const configFile = join(dir, 'sluice.yaml')
  await writeFile(
    configFile,
    stringify({
      gateway: { mqtt: { port: mqtt }, http: { port: gateway } },
      outbox: { file: join(dir, 'outbox.db') },
      inbox: { file: join(dir, 'inbox.db') },
      bridge: { http: { port: bridge }, backoffMaxMs: 2000 },
      kafka: { requestTimeoutMs: 3000, ...kafka },
    }),
  )
  const config = configOf(configFile)
  const progress: string[] = []
  try {
    const job = await startJob({
      config,
      configFile,
      env: process.env,
      cacheDir,
      kafkaPort: 0,
      simulation: { ...building, ...simulation },
      onProgress: line => progress.push(line),
    })
    const dispose = job[Symbol.asyncDispose].bind(job)
    return Object.assign(job, {
      config,
      [Symbol.asyncDispose]: async () => {
        await dispose()
        await rm(dir, { recursive: true, force: true })
      },
    })
  } catch (error) {
    throw new Error(progress.join('\n'), { cause: error })
  }
}

function configOf(file: string) {
  const loaded = loadConfig({ file, env: {} })
  if ('config' in loaded) return loaded.config
  throw new Error(JSON.stringify(loaded.faults))
}
