import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeFaults, loadConfig } from '../../../config/config.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import {
  type SluiceProcessOptions,
  startSluiceProcess,
} from '../../../simulators/processes/sluice-process.ts'
import type { SupervisedProcess } from '../../../simulators/processes/supervisor.ts'
import { createTopics } from '../../setup/kafka/kafka.ts'
import { BASELINE_CLIENT, type Client } from '../arguments.ts'

const HOST = '127.0.0.1'
export const PARTITIONS = 6

export type Setup = Awaited<ReturnType<typeof createSetup>>

export type SetupOptions = {
  /** The file of an outbox that several setups of one run share; by default a new file in `dir`. */
  outboxFile?: string
  /** The Kafka client library; by default BASELINE_CLIENT. */
  client?: Client
  /** Whether old events go to a backfill topic. Otherwise all events go to one topic in order. */
  hasBackfill?: boolean
  /** Additional environment variables for gateway and bridge. */
  env?: NodeJS.ProcessEnv
}

/**
 * Prepares files in `dir`, ports and new topics for a gateway and a bridge with the default
 * configuration. Settings in the environment override the defaults, so that a setting can be tried.
 * The topics are created when brokers are given.
 */
export async function createSetup(
  dir: string,
  brokers: readonly string[],
  { outboxFile = join(dir, 'outbox.db'), client, hasBackfill, env: more }: SetupOptions = {},
) {
  mkdirSync(dir, { recursive: true })
  const ports = { mqtt: await findFreePort(), gateway: await findFreePort(), bridge: 0 }
  ports.bridge = await findFreePort()
  const name = `bench-${randomUUID()}`
  const topics = {
    readings: name,
    backfill: `${name}-backfill`,
    deadletters: `${name}-dead`,
    ledger: `${name}-ledger`,
  }
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SLUICE_CONFIG: undefined,
    SLUICE_GATEWAY_MQTT_HOST: HOST,
    SLUICE_GATEWAY_MQTT_PORT: String(ports.mqtt),
    SLUICE_GATEWAY_HTTP_HOST: HOST,
    SLUICE_GATEWAY_HTTP_PORT: String(ports.gateway),
    SLUICE_BRIDGE_HTTP_HOST: HOST,
    SLUICE_BRIDGE_HTTP_PORT: String(ports.bridge),
    SLUICE_OUTBOX_FILE: outboxFile,
    SLUICE_INBOX_FILE: join(dir, 'inbox.db'),
    SLUICE_KAFKA_BROKERS: brokers.join(','),
    SLUICE_KAFKA_TOPICS_READINGS: topics.readings,
    SLUICE_KAFKA_TOPICS_BACKFILL: topics.backfill,
    SLUICE_KAFKA_TOPICS_DEADLETTERS: topics.deadletters,
    SLUICE_KAFKA_TOPICS_LEDGER: topics.ledger,
    SLUICE_KAFKA_CLIENT: client ?? process.env.SLUICE_KAFKA_CLIENT ?? BASELINE_CLIENT,
    ...more,
  }
  const loaded = loadConfig({ env })
  if ('faults' in loaded) throw new Error(describeFaults(loaded.faults))
  const { kafka, bridge } = loaded.config
  if (brokers.length > 0) {
    const plan = (topic: string, partitions: number) => ({ topic, partitions })
    const { readings, backfill, deadletters, ledger } = topics
    const plans = [plan(readings, PARTITIONS), plan(deadletters, 1), plan(ledger, 1)]
    await createTopics(kafka, hasBackfill ? [...plans, plan(backfill, PARTITIONS)] : plans)
  }
  const onProblem = (line: string) => void process.stderr.write(`${line}\n`)
  const options: SluiceProcessOptions = { env, logDir: join(dir, 'log'), onProblem }
  const gatewayHttp = { host: HOST, port: ports.gateway }
  const bridgeHttp = { host: HOST, port: ports.bridge }
  return {
    mqttPort: ports.mqtt,
    gatewayHttp,
    bridgeHttp,
    outboxFile,
    kafka,
    env,
    /** The largest batch of the bridge. */
    limits: { maxEvents: bridge.batchMaxEvents, maxBytes: bridge.batchMaxBytes },
    topic: topics.readings,
    backfillTopic: topics.backfill,
    startGateway: () => startSluiceProcess('gateway', gatewayHttp, options),
    startBridge: () => startSluiceProcess('bridge', bridgeHttp, options),
  }
}

/** Throws when a process ended by itself and was restarted; its log has the reason. */
export function throwIfRestarted({ name, restarts, state }: SupervisedProcess): void {
  if (restarts > 0 || state.name !== 'running')
    throw new Error(`${name} ended by itself during the run; ${restarts} restarts`)
}

/** Waits for a time; rejects when aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal })
}
