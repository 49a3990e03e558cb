import { dirname, join } from 'node:path'
import { startConsumers } from '../pipeline/consumers.ts'
import { type Pipeline, type PipelineOptions, startPipeline } from '../pipeline/pipeline.ts'
import { startDisplay } from './display.ts'

export type UpOptions = Omit<PipelineOptions, 'onProgress' | 'signal'> & {
  /** Run so long, deliver all, judge and end, in ms; otherwise until the signal. */
  for?: number
  json?: boolean
  signal: AbortSignal
}

/**
 * Runs the main job and shows it, or with `json` says nothing but the verdict. Gives the exit code:
 * 0 when it ended as asked and, if it was to be judged, everything is complete.
 */
export async function runUp(options: UpOptions): Promise<number> {
  const { signal, for: forMs, json = false } = options
  const say = (line: string) => process.stderr.write(`${line}\n`)
  await using job = await startPipeline({ ...options, onProgress: say })
  await using consumers = job.problem ? null : await startUpConsumers(options, job.brokers, say)
  await using display = startDisplay({
    fetchStates: job.states,
    notice: () => notice(job),
    quiet: json,
  })
  await job.devices.run(
    forMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(forMs)]),
  )
  if (forMs === undefined || signal.aborted) {
    display.say('stopping')
    return 0
  }
  display.say('delivering what is left')
  const left = job.problem ? 0 : await job.drain()
  if (left > 0) say(`${left} events are still in the outbox and nothing moves any more`)
  display.say('reading Kafka afresh and comparing it with what the devices saw acknowledged')
  const judged = await job.judge()
  const verdict = consumers ? await consumers.judge(judged, job.devices.record) : judged
  await display[Symbol.asyncDispose]()
  process.stdout.write(`${JSON.stringify(verdict)}\n`)
  return verdict.verdict === 'complete' ? 0 : 1
}

function startUpConsumers(
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

/** The one line that a person must read when there is no Kafka. */
async function notice(job: Pipeline): Promise<string | null> {
  if (!job.problem) return null
  const hours = await job.diskHours()
  const lasts = hours > 48 ? `${Math.floor(hours / 24)} days` : `${Math.floor(hours)} h`
  const keeps = `the gateway keeps everything, and at this rate the disk lasts ${lasts}`
  return `no Kafka: ${job.problem}. Until then ${keeps}.`
}
