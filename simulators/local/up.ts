import { dirname, join } from 'node:path'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { startConsumers } from '../pipeline/consumers.ts'
import { type Pipeline, type PipelineOptions, startPipeline } from '../pipeline/pipeline.ts'
import { startDisplay } from './display.ts'

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
 * Returns the exit code: 0 when the signal ended the run, or when the verdict is `complete`.
 */
export async function runUp(options: UpOptions): Promise<number> {
  const { signal, durationMs, json = false } = options
  const say = (line: string) => process.stderr.write(`${line}\n`)
  await using pipeline = await startPipeline({ ...options, onProgress: say })
  await using consumers = pipeline.problem
    ? null
    : await startConsumersFor(options, pipeline.brokers, say)
  await using display = startDisplay({
    fetchStates: pipeline.states,
    notice: () => noKafkaNotice(pipeline),
    quiet: json,
  })
  await pipeline.devices.run(
    durationMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(durationMs)]),
  )
  if (durationMs === undefined || signal.aborted) {
    display.say('stopping devices, gateway, bridge and Kafka')
    return exitStatusOf('DONE')
  }
  display.say('delivering the events that are still in the outbox')
  const undelivered = pipeline.problem ? 0 : await pipeline.drain()
  if (undelivered > 0) {
    say(`${undelivered} events are still in the outbox: the bridge delivers none; see its log`)
  }
  display.say(
    'reading the records of this run from Kafka and comparing them with the acknowledgements',
  )
  const judged = await pipeline.judge()
  const verdict = consumers ? await consumers.judge(judged, pipeline.devices.record) : judged
  await display[Symbol.asyncDispose]()
  process.stdout.write(`${JSON.stringify(verdict)}\n`)
  return exitStatusOf(verdict.verdict === 'complete' ? 'DONE' : 'ERR_NEGATIVE')
}

function startConsumersFor(
  { config, configFile, env }: UpOptions,
  brokers: readonly string[],
  say: (line: string) => void,
) {
  say('starting analytics and archive')
  return startConsumers(config, {
    configFile,
    env: { ...env, SLUICE_KAFKA_BROKERS: brokers.join(',') },
    logDir: join(dirname(config.outbox.file), 'log'),
    onProblem: say,
  })
}

/** The line that a person must read when no Kafka can be started; null when there is a Kafka. */
async function noKafkaNotice(pipeline: Pipeline): Promise<string | null> {
  if (!pipeline.problem) return null
  const hours = await pipeline.diskHours()
  const lasts = hours > 48 ? `${Math.floor(hours / 24)} days` : `${Math.floor(hours)} h`
  const keeps = `the gateway keeps everything, and at this rate the disk lasts ${lasts}`
  return `no Kafka: ${pipeline.problem}. Until Kafka is available, ${keeps}.`
}
