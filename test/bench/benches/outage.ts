import { homedir } from 'node:os'
import { join } from 'node:path'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { addLedgerProof } from '../../../simulators/rehearse/stage/ledger-proof.ts'
import { outcomeOf } from '../../../simulators/rehearse/stage/outcome.ts'
import { type Stage, startStage } from '../../../simulators/rehearse/stage/stage.ts'
import type { Client } from '../arguments.ts'
import type { Measurement } from '../measure/figures.ts'
import { ratio } from '../measure/meter.ts'
import { type Percentiles, percentilesOf } from '../measure/percentiles.ts'
import { pause } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const BEFORE_MS = 15_000
const LOOK_EVERY_MS = 200
/**
 * How long after Kafka's return the latency is not measured, because clients first find the new
 * leaders.
 */
const RETURN_MS = 5000
const BACKFILL_AFTER_MS = 5000
const GIVE_UP_MS = 600_000

/**
 * A long outage: Kafka is killed and later restarted while devices publish without a pause.
 * Measures the latency of live events (append time minus receivedAt) before the outage and while
 * the backlog drains. The devices' own record and the ledger judge the result. The bench has a
 * Kafka of its own.
 */
export const outage: BenchCase = {
  needsKafka: true,
  size: ({ outage }) => outage,
  async run(bench) {
    const figures: Measurement[] = []
    for (const client of bench.clients) figures.push(...(await measureOutage(bench, client)))
    return figures
  },
}

async function measureOutage({ sizes, signal }: Bench, client: Client): Promise<Measurement[]> {
  const { ratePerSecond, waiting } = sizes.outage
  const env = {
    SLUICE_KAFKA_CLIENT: client,
    SLUICE_BRIDGE_BACKFILL_AFTER_MS: String(BACKFILL_AFTER_MS),
  }
  await using stage = await startStage({
    simulation: { ratePerSecond, devices: 1000, connections: 50 },
    cacheDir: process.env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice'),
    env: process.env,
    extraEnv: { bridge: env },
  })
  const running = new AbortController()
  const run = stage.devices.run(AbortSignal.any([running.signal, signal]))
  const begunMs = Date.now()
  await pause(BEFORE_MS, signal)
  const awayMs = Date.now()
  await stage.kafka!.kill()
  while (((await stage.states()).gateway?.backlog.events ?? 0) < waiting) {
    await pause(LOOK_EVERY_MS, signal)
  }
  await stage.kafka!.restart()
  const backMs = Date.now()
  await untilDrained(stage, signal)
  const drainedMs = Date.now()
  running.abort()
  await run
  await stage.drain()
  const outcome = await addLedgerProof(stage, outcomeOf('outage', 1, await stage.judge(), []))
  process.stderr.write(`bench: outage, ${client}: ${outcome.remarks}\n`)
  // The first seconds are a warm-up. Events right after the return waited in the same queue as old
  // events.
  const before = await latenciesOf(stage, begunMs + 5000, awayMs - 1000)
  const during = await latenciesOf(stage, backMs + RETURN_MS, drainedMs)
  const ms = { of: client, unit: 'ms' }
  const none = { of: client, unit: 'messages', target: { atMost: 0 } }
  return [
    { figure: 'away', of: client, unit: 's', value: (backMs - awayMs) / 1000 },
    { figure: 'drained in', of: client, unit: 's', value: (drainedMs - backMs) / 1000 },
    { figure: 'p99 before', ...ms, value: before?.p99 ?? null },
    { figure: 'p99 during the drain', ...ms, value: during?.p99 ?? null },
    {
      ...{ figure: 'p99, with the drain to without', of: client, unit: 'ratio' },
      ...{ value: ratio(during?.p99 ?? null, before?.p99 ?? null), target: { atMost: 2 } },
    },
    { figure: 'lost', ...none, value: outcome.lost },
    { figure: 'counted twice', ...none, value: outcome.countedTwice },
    { figure: 'out of order', ...none, value: outcome.outOfOrder },
    {
      ...{ figure: 'proven complete by the ledger', of: client, unit: '1 = yes' },
      ...{ value: Number(outcome.passed), target: { atLeast: 1 } },
    },
  ]
}

/** Waits until the backlog is delivered while live events continue. */
async function untilDrained(stage: Stage, signal: AbortSignal): Promise<void> {
  const sinceMs = performance.now()
  for (let wasBehind = false; ; await pause(LOOK_EVERY_MS, signal)) {
    const isBehind = (await stage.states()).bridge?.ranges.some(({ end }) => end !== null)
    wasBehind ||= isBehind === true
    if (wasBehind && isBehind === false) return
    if (performance.now() - sinceMs > GIVE_UP_MS) {
      throw new Error(`the backlog was not delivered within ${GIVE_UP_MS} ms`)
    }
  }
}

/** Latencies of the live events that were received between two times. */
async function latenciesOf(
  { config, brokers }: Stage,
  fromMs: number,
  toMs: number,
): Promise<Percentiles | null> {
  const { stream } = await createKafkaClient({ ...config.kafka, client: 'platformatic', brokers })
  const { readings } = config.kafka.topics
  const { begin, end } = (await stream.topicOffsets([readings])).get(readings)!
  const latencies: number[] = []
  await stream.readBetween(readings, begin, end, ({ value, appendTimeMs }) => {
    const { receivedAt } = decodeEvent(value)
    if (receivedAt >= fromMs && receivedAt < toMs) latencies.push(appendTimeMs - receivedAt)
  })
  return percentilesOf(Float64Array.from(latencies))
}
