import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Totals } from '../../../cloud-bridge/consumers/analytics/api/totals.ts'
import { verifyArchive } from '../../../cloud-bridge/consumers/archive/verification.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { fetchState, startSluiceProcess } from '../../../simulators/processes/sluice-process.ts'
import { createTopics, kafkaAt } from '../../setup/kafka/kafka.ts'
import type { Client } from '../arguments.ts'
import type { PlainOptions, PlainResult } from '../bare/plain-consumer.ts'
import type { FillTopic } from '../load/filled-topic.ts'
import type { Measurement } from '../measure/figures.ts'
import { perUnit, ratio, readResourceUse } from '../measure/meter.ts'
import { runBenchProcess } from '../setup/bench-process.ts'
import { pause } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const PARTITIONS = 8
const HOST = '127.0.0.1'
const LOOK_EVERY_MS = 200
const STALLED_MS = 60_000
const FILE_MAX_AGE_MS = 5000
/** The size of the young generation that the launcher gives to consumers. */
const YOUNG_MB = 64

/**
 * CPU of consumers that read a topic from the beginning: first decoding and deduplication alone,
 * then the complete analytics and archive consumers. Also checks the results of both consumers.
 */
export const consumers: BenchCase = {
  needsKafka: true,
  size: ({ consumers }) => consumers,
  async run(bench) {
    const figures: Measurement[] = []
    for (const client of bench.clients) figures.push(...(await compare(bench, client)))
    return figures
  },
}

async function compare(bench: Bench, client: Client): Promise<Measurement[]> {
  const { events, devices } = bench.sizes.consumers
  const { brokers } = await bench.kafka()
  const id = randomUUID()
  const names = ['readings', 'backfill', 'ledger', 'deadletters', 'aggregates']
  const topics = Object.fromEntries(names.map(name => [name, `bench-${name}-${id}`]))
  const plans = Object.values(topics).map(topic => ({ topic, partitions: PARTITIONS }))
  await createTopics(kafkaAt([...brokers]), plans)
  const fill: FillTopic = {
    ...{ brokers, topic: topics.readings!, partitions: PARTITIONS, events, devices },
  }
  const { sum } = await runBenchProcess<{ sum: number }>('load/filled-topic.ts', fill, bench.signal)
  const both = [topics.readings!, topics.backfill!]
  const asked: PlainOptions = { brokers, topics: both, events, client }
  const flags = [`--max-semi-space-size=${YOUNG_MB}`]
  const plains: PlainResult[] = []
  /**
   * Runs the plain consumer. Called before, between and after the consumers, because the machine's
   * speed changes.
   */
  const runPlain = async () => {
    plains.push(await runBenchProcess('bare/plain-consumer.ts', asked, bench.signal, flags))
  }
  await runPlain()
  const cost = (cpuSeconds: number | null) => perUnit(cpuSeconds, events, 1e6)
  const place = { bench, client, topics, brokers, events }
  const analytics = await runConsumer('analytics', place, async port => {
    const answer = await fetch(`http://${HOST}:${port}/api/totals`)
    const { metrics } = (await answer.json()) as Totals
    const found = metrics.find(({ metric }) => metric === 'temperature')
    const isRight = metrics.every(({ count }) => count === events)
    return isRight && Math.abs((found?.sum ?? 0) - sum) < 1e-6 * events
  })
  await runPlain()
  const archive = await runConsumer('archive', place, async () => true)
  await runPlain()
  const plainSeconds = plains.reduce((sum, one) => sum + one.cpuSeconds, 0) / plains.length
  const proof = await verifyArchive(join(bench.dir, `archive-${client}`), [])
  const archived = proof?.partitions.reduce((total, one) => total + one.events, 0)
  const isArchived = archived === events && proof?.faults.length === 0
  const cpu = (figure: string, value: number | null): Measurement => ({
    ...{ figure: `CPU, ${figure}`, of: client, unit: 's/million', value },
  })
  const share = (name: string, used: ConsumerResult): Measurement => ({
    ...{ figure: `plain to ${name}, CPU`, of: client, unit: 'ratio' },
    ...{ value: ratio(plainSeconds, used.cpuSeconds), target: { atLeast: 0.5 } },
  })
  const right = (name: string, is: boolean): Measurement => ({
    ...{ figure: `${name} is right`, of: client, unit: '1 = yes' },
    ...{ value: Number(is), target: { atLeast: 1 } },
  })
  return [
    cpu('decode and duplicate check', cost(plainSeconds)),
    cpu('analytics', cost(analytics.cpuSeconds)),
    cpu('archive', cost(archive.cpuSeconds)),
    share('analytics', analytics),
    share('archive', archive),
    { figure: 'analytics', of: client, unit: 'events/s', value: events / analytics.seconds },
    { figure: 'archive', of: client, unit: 'events/s', value: events / archive.seconds },
    { figure: 'RSS, analytics', of: client, unit: 'MB', value: analytics.rssPeakMb },
    { figure: 'RSS, archive', of: client, unit: 'MB', value: archive.rssPeakMb },
    right('analytics', analytics.isRight),
    right('archive', isArchived),
    {
      ...{ figure: 'analytics ready again', of: client, unit: 's' },
      ...{ value: analytics.readySeconds, target: { below: 5 } },
    },
  ]
}

type ConsumerRun = {
  bench: Bench
  client: Client
  topics: Record<string, string>
  brokers: readonly string[]
  events: number
}
type ConsumerResult = {
  cpuSeconds: number | null
  rssPeakMb: number | null
  seconds: number
  isRight: boolean
  readySeconds: number
}

/** Runs a consumer from its start until the topic is read, checks its result, and restarts it. */
async function runConsumer(
  name: 'analytics' | 'archive',
  { bench: { dir, signal }, client, topics, brokers, events }: ConsumerRun,
  check: (port: number) => Promise<boolean>,
): Promise<ConsumerResult> {
  const http = { host: HOST, port: await findFreePort() }
  const env = {
    ...process.env,
    SLUICE_KAFKA_BROKERS: brokers.join(','),
    SLUICE_KAFKA_CLIENT: client,
    SLUICE_KAFKA_TOPICS_READINGS: topics.readings,
    SLUICE_KAFKA_TOPICS_BACKFILL: topics.backfill,
    SLUICE_KAFKA_TOPICS_LEDGER: topics.ledger,
    SLUICE_KAFKA_TOPICS_DEADLETTERS: topics.deadletters,
    SLUICE_CONSUMERS_ANALYTICS_TOPIC: topics.aggregates,
    SLUICE_CONSUMERS_DIR: join(dir, `state-${client}`),
    SLUICE_CONSUMERS_ARCHIVE_DIR: join(dir, `archive-${client}`),
    // The archive reports committed events only, so commits must be frequent.
    SLUICE_CONSUMERS_ARCHIVE_FILE_MAX_AGE_MS: String(FILE_MAX_AGE_MS),
    [`SLUICE_CONSUMERS_${name.toUpperCase()}_HTTP_PORT`]: String(http.port),
  }
  const onProblem = (line: string) => void process.stderr.write(`${line}\n`)
  const options = { env, logDir: join(dir, 'log'), onProblem }
  const taken = async () => {
    const state = await fetchState<'consumer'>(http)
    return Object.values(state?.taken ?? {}).reduce((sum, count) => sum + count, 0)
  }
  await using part = await startSluiceProcess(name, http, options)
  while (!(await fetchState(http))) await pause(LOOK_EVERY_MS / 10, signal)
  // As with the plain consumer, the CPU for the start of the process does not count.
  const began = readResourceUse(part.pid!)
  const sinceMs = performance.now()
  let [last, movedMs] = [0, performance.now()]
  while (last < events && performance.now() - movedMs < STALLED_MS) {
    await pause(LOOK_EVERY_MS, signal)
    const now = await taken()
    if (now !== last) movedMs = performance.now()
    last = now
  }
  const seconds = (performance.now() - sinceMs) / 1000
  const { rssPeakMb, ...ended } = readResourceUse(part.pid!)
  const cpuSeconds = (ended.cpuSeconds ?? 0) - (began.cpuSeconds ?? 0)
  const isRight = await check(http.port)
  const { restarts } = part
  // SIGTERM, because a killed member blocks its partitions until its session ends.
  part.kill('SIGTERM')
  while (part.restarts === restarts) await pause(10, signal)
  const startedMs = performance.now()
  const isReady = async () => (await fetchState<'consumer'>(http))?.partitions.length === PARTITIONS
  while (!(await isReady())) await pause(50, signal)
  const readySeconds = (performance.now() - startedMs) / 1000
  return { cpuSeconds, rssPeakMb, seconds, isRight, readySeconds }
}
