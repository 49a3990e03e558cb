import { dirname, join } from 'node:path'
import type { Config } from '../../config/config.ts'
import { localRunFile, openLocalRunNote } from '../../config/local-run.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { startConsumers } from '../pipeline/consumers.ts'
import { type Pipeline, type PipelineOptions, startPipeline } from '../pipeline/pipeline.ts'
import { startDisplay } from './display.ts'
import { screenHeadings } from './screen.ts'

export type UpOptions = Omit<PipelineOptions, 'onProgress' | 'signal'> & {
  /**
   * How long to publish; then `up` delivers everything, judges and ends. Without a duration the run
   * ends with the signal.
   */
  durationMs?: number
  json?: boolean
  signal: AbortSignal
}

/**
 * Runs the whole pipeline and shows the live screen; with `json` it prints nothing but the verdict.
 * While it runs, a note in the folder of the outbox names the Kafka for other commands. Returns the
 * exit code: 0 when the signal ended the run, or when the verdict is `complete`.
 */
export async function runUp(options: UpOptions): Promise<number> {
  try {
    return await run(options)
  } catch (error) {
    // The signal ended the start; everything that had started is stopped again.
    if (options.signal.aborted && error === options.signal.reason) return exitStatusOf('DONE')
    throw error
  }
}

async function run(options: UpOptions): Promise<number> {
  const { signal, durationMs, json = false } = options
  const printLine = (line: string): void => {
    process.stderr.write(`${line}\n`)
  }
  // While the screen is shown, the screen places the lines.
  let say = printLine
  const onProgress = (line: string) => say(line)
  await using pipeline = await startPipeline({ ...options, onProgress })
  const running = configOf(options, pipeline)
  using _note = openLocalRunNote(options.config, {
    ...{ pid: process.pid, kafka: { brokers: [...pipeline.brokers] } },
    addresses: addressesOf(running),
  })
  await using consumers = pipeline.problem
    ? null
    : await startConsumersFor(options, pipeline.brokers, onProgress)
  await using stopReport = new AsyncDisposableStack()
  if (consumers) stopReport.defer(() => onProgress('stopping the consumers'))
  for (const line of addressLines(running)) say(line)
  await using display = startDisplay({
    fetchStates: pipeline.states,
    headings: screenHeadings(running),
    onInterrupt: 'Ctrl-C stops everything that runs here; the data stays on disk.',
    notice: () => noKafkaNotice(pipeline),
    quiet: json,
  })
  await using stack = new AsyncDisposableStack()
  stack.defer(() => {
    say = printLine
  })
  say = display.say
  await pipeline.devices.run(
    durationMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(durationMs)]),
  )
  if (durationMs === undefined || signal.aborted) {
    display.say('stopping: what is acknowledged stays on disk')
    return exitStatusOf('DONE')
  }
  display.say('delivering the events that are still in the outbox')
  const undelivered = pipeline.problem ? 0 : await pipeline.drain()
  if (undelivered > 0) {
    const amount = Number.isFinite(undelivered) ? undelivered : 'an unknown number of'
    say(`${amount} events are still in the outbox: the bridge delivers none; see its log`)
  }
  display.say(
    'reading the records of this run from Kafka and comparing them with the acknowledgements',
  )
  const judged = await pipeline.judge()
  const verdict = consumers ? await consumers.judge(judged) : judged
  await display[Symbol.asyncDispose]()
  process.stdout.write(`${JSON.stringify(verdict)}\n`)
  return exitStatusOf(verdict.verdict === 'complete' ? 'DONE' : 'ERR_NEGATIVE')
}

/**
 * Starts the consumers; null when one does not start. The reason is reported, and everything else
 * continues.
 */
async function startConsumersFor(
  { config, configFile, env, signal }: UpOptions,
  brokers: readonly string[],
  say: (line: string) => void,
) {
  say('starting analytics and archive')
  try {
    return await startConsumers(config, {
      configFile,
      // This machine also runs everything else, and 500 readings a second need no large heap.
      env: { ...env, SLUICE_KAFKA_BROKERS: brokers.join(','), SLUICE_MEMORY: 'small' },
      logDir: join(dirname(config.outbox.file), 'log'),
      onProblem: say,
      signal,
    })
  } catch (error) {
    if (!(error instanceof CannotStart)) throw error
    say(`${error.message}: everything else runs`)
    return null
  }
}

/** The configuration with which the parts run: with the brokers of the local Kafka. */
const configOf = ({ config }: UpOptions, { brokers }: Pipeline): Config => ({
  ...config,
  kafka: { ...config.kafka, brokers },
})

/** Where each part is, for people. */
function addressesOf({ gateway, bridge, consumers, kafka, outbox }: Config) {
  const pages = ({ host, port }: { host: string; port: number }) => `http://${host}:${port}`
  return {
    Kafka: kafka.brokers.join(', ') || 'none',
    MQTT: `${gateway.mqtt.host}:${gateway.mqtt.port}`,
    gateway: `${pages(gateway.http)}/health (also /ready, /metrics, /state)`,
    bridge: `${pages(bridge.http)}/health`,
    analytics: `${pages(consumers.analytics.http)}/openapi.json`,
    archive: `${pages(consumers.archive.http)}/health, files in ${consumers.archive.dir}`,
    logs: join(dirname(outbox.file), 'log'),
  }
}

function addressLines(config: Config): string[] {
  const addresses = Object.entries(addressesOf(config))
  const lines = addresses.map(([name, address]) => `  ${name.padEnd(12)}${address}`)
  if (config.kafka.brokers.length === 0) return lines
  const file = localRunFile(config)
  return [
    ...lines,
    `other commands, such as ./sluice ledger verify, find this Kafka through ${file}`,
  ]
}

/** The line that a person must read when no Kafka can be started; null when there is a Kafka. */
async function noKafkaNotice(pipeline: Pipeline): Promise<string | null> {
  if (!pipeline.problem) return null
  const hours = await pipeline.diskHours()
  const lasts = hours > 48 ? `${Math.floor(hours / 24)} days` : `${Math.floor(hours)} h`
  const keeps = `the gateway keeps everything, and at this rate the disk lasts ${lasts}`
  return `no Kafka: ${pipeline.problem}. Until Kafka is available, ${keeps}.`
}
