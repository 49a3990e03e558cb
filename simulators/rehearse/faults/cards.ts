import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import type { LedgerReport } from '../../../cloud-bridge/ledger/report.ts'
import { type Config, describeFaults, loadConfig } from '../../../config/config.ts'
import { findFreePort } from '../../kafka/free-port.ts'
import { connectBuilding } from '../../pipeline/pipeline.ts'
import { createJudge } from '../../pipeline/verdict.ts'
import { fetchState, startSluiceProcess } from '../../processes/sluice-process.ts'
import type { RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const RUN_MS = 1500
/** Longer than the heartbeat, and shorter than the devices go on after the fault. */
const SILENT_AFTER_SECONDS = 10
const GO_ON_MS = 13_000
const CLONE = { devices: 10, connections: 2, ratePerSecond: 200, qos: 1, seed: 7 } as const
const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))

/** The environments of the processes that a rehearsal starts, and of the ledger. */
export type CardEnvs = { env: NodeJS.ProcessEnv; ledgerEnv: NodeJS.ProcessEnv }

/** Loses acknowledged readings with a card; resolves with how many are lost. */
type CardFault = (stage: Stage, env: NodeJS.ProcessEnv) => Promise<number>

export const cardFaults: Record<string, CardFault> = {
  'new-card': loseCard,
  'cloned-card': loseClone,
  'restored-image': restoreImage,
}

/**
 * Loses readings that no gateway can deliver or name any more. The promise is that the ledger never
 * calls the gateway complete then, and names the store; and that an operator's retirement of the
 * store becomes one named hole. `lost` counts readings that the ledger claims to be there.
 */
export async function rehearseCard(
  stage: Stage,
  { fault, env, ledgerEnv }: CardEnvs & { fault: string },
): Promise<RehearsalOutcome> {
  await stage.devices.run(RUN_MS)
  await stage.drain()
  const missing = await cardFaults[fault]!(stage, env)
  await stage.devices.run(GO_ON_MS)
  await stage.drain()
  const report = await verify(stage, ledgerEnv)
  const named = report.gateways.flatMap(({ problems }) => problems.map(({ kind }) => kind))
  const isNoticed = report.verdict === 'unproven' && named.length > 0
  const after = await retire(stage, ledgerEnv)
  const holes = after.gateways.flatMap(({ retired }) => retired)
  const isHole = after.verdict === 'incomplete' && holes.length > 0
  const { acknowledged, duplicates, inversions } = await stage.judge()
  const remarks = [
    `${missing} readings lost with the card`,
    `ledger: ${report.verdict} (${[...new Set(named)].join(', ')})`,
    `retired: ${after.verdict}, ${holes.length} hole`,
  ]
  return {
    ...{ fault, times: 1, acknowledged, countedTwice: duplicates, outOfOrder: inversions },
    lost: report.verdict === 'complete' ? missing : 0,
    remarks: remarks.join('; '),
    passed: missing > 0 && isNoticed && isHole,
  }
}

/** The card breaks while readings wait; a new card goes on with the same configuration. */
async function loseCard(stage: Stage): Promise<number> {
  await storeWithoutBridge(stage)
  await whileDown(stage, files => {
    for (const file of files) rmSync(file)
  })
  return await countMissing(stage)
}

/** An image of the complete card, taken before, is put back while readings wait. */
async function restoreImage(stage: Stage): Promise<number> {
  const image = join(stage.dir, 'image')
  await stopBridge(stage)
  await whileDown(stage, files => {
    copyTo(image, files)
  })
  await stage.devices.run(RUN_MS)
  await stage.drain()
  await storeWithoutBridge(stage)
  await whileDown(stage, files => {
    for (const file of files) rmSync(file)
    copyTo(stage.dir, filesIn(image))
  })
  return await countMissing(stage)
}

/** A copy of the card runs beside the original, and ends with its readings. */
async function loseClone(stage: Stage, env: NodeJS.ProcessEnv): Promise<number> {
  const dir = join(stage.dir, 'clone')
  await stopBridge(stage)
  await whileDown(stage, files => copyTo(dir, files))
  const { config, configFile } = await cloneConfig(stage, dir)
  const options = { configFile, env, logDir: join(dir, 'log'), onProblem() {} }
  await using bridge = await startSluiceProcess('bridge', config.bridge.http, options)
  await using _gateway = await startSluiceProcess('gateway', config.gateway.http, options)
  await using devices = await connectBuilding(config, CLONE)
  await devices.run(RUN_MS)
  bridge.kill('SIGSTOP')
  await devices.run(RUN_MS)
  await devices.drain(RUN_MS)
  bridge.kill('SIGKILL')
  await bridge.stop(1)
  const judge = createJudge(devices.record, devices.runId)
  await readEvents(stage, judge.add)
  return judge.conclude({ scheduled: 0, stored: 0, deadLetters: 0 }).missing
}

async function cloneConfig(stage: Stage, dir: string) {
  const [mqtt, gateway, bridge] = [await findFreePort(), await findFreePort(), await findFreePort()]
  const { outbox, inbox, kafka } = stage.config
  const content = {
    gateway: { id: stage.config.gateway.id, mqtt: { port: mqtt }, http: { port: gateway } },
    outbox: { file: join(dir, 'outbox.db'), heartbeatMs: outbox.heartbeatMs },
    inbox: { file: join(dir, 'inbox.db'), settleMs: inbox.settleMs },
    bridge: { http: { port: bridge } },
    kafka: { brokers: kafka.brokers, topics: kafka.topics },
  }
  const configFile = join(dir, 'sluice.yaml')
  writeFileSync(configFile, JSON.stringify(content))
  const loaded = loadConfig({ file: configFile, env: {} })
  if ('faults' in loaded) throw new Error(describeFaults(loaded.faults))
  return { config: loaded.config as Config, configFile }
}

/** Stores readings that the bridge does not send. The bridge stays stopped. */
async function storeWithoutBridge(stage: Stage): Promise<void> {
  await stopBridge(stage)
  await stage.devices.run(RUN_MS)
  await stage.devices.drain(RUN_MS)
}

async function stopBridge({ bridge }: Stage): Promise<void> {
  bridge.kill('SIGSTOP')
  await sleep(100)
}

/**
 * Ends the gateway by SIGTERM and the stopped bridge by SIGKILL, changes the files of both before
 * they start, and waits until the gateway answers.
 */
async function whileDown(stage: Stage, work: (files: string[]) => void): Promise<void> {
  const { gateway, bridge, config } = stage
  gateway.kill('SIGTERM')
  while (gateway.state.name !== 'waiting') await sleep(1)
  const before = bridge.pid
  bridge.kill('SIGKILL')
  work(filesIn(stage.dir))
  const isAnswering = async () => {
    const pid = (await fetchState(config.gateway.http))?.pid
    return pid !== undefined && pid === gateway.pid && bridge.pid !== before
  }
  while (!(await isAnswering())) await sleep(20)
}

/** The files of outbox and inbox. */
const filesIn = (dir: string): string[] =>
  readdirSync(dir)
    .filter(name => /^(outbox|inbox)\.db/.test(name) && !name.endsWith('-shm'))
    .map(name => join(dir, name))

function copyTo(dir: string, files: readonly string[]): void {
  mkdirSync(dir, { recursive: true })
  for (const file of files) copyFileSync(file, join(dir, file.slice(dirname(file).length + 1)))
}

async function countMissing(stage: Stage): Promise<number> {
  await stage.drain()
  return (await stage.judge()).missing
}

type AddRecord = ReturnType<typeof createJudge>['add']

async function readEvents({ config, brokers }: Stage, add: AddRecord): Promise<void> {
  const { stream } = await createKafkaClient({ ...config.kafka, brokers })
  const { readings, backfill } = config.kafka.topics
  for (const [topic, { begin, end }] of await stream.topicOffsets([readings, backfill])) {
    await stream.readBetween(topic, begin, end, record => add(record, topic))
  }
}

async function verify(stage: Stage, env: NodeJS.ProcessEnv): Promise<LedgerReport> {
  const args = ['verify', '--json', '--silent-after', String(SILENT_AFTER_SECONDS)]
  return JSON.parse(await runLedger(stage, env, args))
}

/** Retires the stores of the gateway; the devices go on, and so does the live store. */
async function retire(stage: Stage, env: NodeJS.ProcessEnv): Promise<LedgerReport> {
  await runLedger(stage, env, ['retire', stage.config.gateway.id!, '--reason', 'rehearsed'])
  await stage.devices.run(RUN_MS)
  await stage.drain()
  return await verify(stage, env)
}

function runLedger({ configFile }: Stage, env: NodeJS.ProcessEnv, args: string[]) {
  const command = [launcher, 'ledger', ...args, '--config', configFile]
  return new Promise<string>(resolve => {
    execFile(process.execPath, command, { env, maxBuffer: 1e8 }, (_, stdout) => resolve(stdout))
  })
}
