import type { Config } from '../../config/config.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { pause } from '../../config/process/pause.ts'
import { createCommandClient } from '../kafka/configured-client.ts'
import { describeError } from '../kafka/errors.ts'
import type { EventStream } from '../ports/event-stream.ts'
import { createEventReader } from '../registry/event-reader.ts'
import { createRegistryClient } from '../registry/registry.ts'
import { assessGateways } from './assessment.ts'
import { createLedger } from './ledger.ts'
import { createReport, describeReport, exitCodeOf, type LedgerReport } from './report.ts'
import { createTopicReader, MissingTopics } from './topics/topic-reader.ts'

/** A gateway is silent after this many missed heartbeats. */
const MISSED_HEARTBEATS = 3
const WATCH_EVERY_MS = 5000
const PROGRESS_EVERY_MS = 5000
/** Where nobody watches, only a read that takes long is worth a line. */
const PROGRESS_WITHOUT_TERMINAL_MS = 60_000

export type VerifyOptions = {
  config: Config
  /** A gateway without a heartbeat for longer is silent; by default three heartbeats' time. */
  silentAfterMs?: number | undefined
  /** A number that a note names is missing after this time; by default AWAITED_MAX_MS. */
  awaitedMaxMs?: number | undefined
  /** Whether `onProblem` writes to a terminal: progress is then reported every few seconds. */
  isTerminal?: boolean | undefined
  watch?: boolean | undefined
  json?: boolean | undefined
  signal: AbortSignal
  onReport(text: string): void
  onProblem(line: string): void
}

export type ReaderOptions = Pick<
  VerifyOptions,
  'config' | 'silentAfterMs' | 'awaitedMaxMs' | 'isTerminal' | 'signal' | 'onProblem'
>

type ProgressOptions = Pick<VerifyOptions, 'isTerminal' | 'onProblem'>

/**
 * Reads the topics from their beginning and reports up to when each gateway is complete, or lists
 * its gaps; with `watch` every few seconds until the signal, whenever the report changes. Resolves
 * with the exit code of the last report. Throws CannotStart when Kafka is not configured, or when
 * the first read finds Kafka unreachable or a topic missing.
 */
export async function verifyLedger(options: VerifyOptions): Promise<number> {
  const { config, signal, watch = false, json = false, onReport, onProblem } = options
  requireBrokers(config)
  const { stream } = await createCommandClient(config.kafka, onProblem)
  const readReport = createReportReader(options, stream)
  const aborted = abortOf(signal)
  // The first exit code is for a signal that aborts before the first report.
  let [exitCode, lastText] = [exitStatusOf('ERR_INTERRUPTED'), '']
  for (let round = 0; ; round++) {
    const report = await Promise.race([readReport(), aborted]).catch(error => {
      const problem = problemText(error, config)
      if (round === 0) throw new CannotStart(problem)
      onProblem(problem)
    })
    if (report === 'aborted') return exitCode
    if (report) {
      exitCode = exitCodeOf(report)
      const text = json ? JSON.stringify(report) : describeReport(report)
      if (text !== lastText) onReport(text)
      lastText = text
    }
    if (!watch) return exitCode
    await pause(WATCH_EVERY_MS, signal)
  }
}

/** Each call reads on to the current ends of the topics and reports on all that was read so far. */
function createReportReader(options: ReaderOptions, stream: EventStream) {
  const reading = createLedgerReading(options, stream)
  return async (): Promise<LedgerReport> => {
    await reading.readToEnd()
    return reading.report()
  }
}

/** A ledger, how to read the topics into the ledger, and the report on all that was read so far. */
export function createLedgerReading(
  { config, silentAfterMs, awaitedMaxMs, signal, isTerminal, onProblem }: ReaderOptions,
  stream: EventStream,
) {
  const { kafka, bridge, outbox, registry } = config
  const { onRecord } = createProgress({ isTerminal, onProblem })
  const ledger = createLedger()
  const { url } = registry
  const client = url === null ? null : createRegistryClient({ ...registry, url, signal })
  const reader = createEventReader(client)
  const topicReader = createTopicReader({ stream, ledger, topics: kafka.topics, reader, onRecord })
  let nowMs = Date.now()
  return {
    ledger,
    async readToEnd(): Promise<void> {
      // The moment of the ends, because a topic may take longer to read than a gateway is silent.
      nowMs = await topicReader.readToEnd()
    },
    report(): LedgerReport {
      const assessments = assessGateways(ledger.gateways.values(), {
        nowMs,
        silentAfterMs: silentAfterMs ?? MISSED_HEARTBEATS * outbox.heartbeatMs,
        // The bridge reads complete groups, and the last group can exceed the batch's limit.
        inFlightMaxEvents: bridge.batchMaxEvents + outbox.groupMaxEvents,
        logStarts: ledger.logStarts,
        backfillLogStarts: ledger.backfillLogStarts,
        noteLogStarts: ledger.noteLogStarts,
        deadLetterLogStarts: ledger.deadLetterLogStarts,
        awaitedMaxMs,
      })
      return createReport(assessments, topicReader.foreign, nowMs)
    },
  }
}

/** Throws CannotStart when no broker is configured. */
export function requireBrokers({ kafka }: Config): void {
  if (kafka.brokers.length > 0) return
  const cure = 'Set it, or SLUICE_KAFKA_BROKERS, to host:port of a broker'
  throw new CannotStart(`kafka.brokers is not configured. ${cure}`)
}

/** Reports from time to time how many records were read. */
function createProgress({ isTerminal = false, onProblem }: ProgressOptions) {
  const everyMs = isTerminal ? PROGRESS_EVERY_MS : PROGRESS_WITHOUT_TERMINAL_MS
  const startMs = performance.now()
  let [records, nextMs] = [0, startMs + everyMs]
  return {
    onRecord(): void {
      records++
      const nowMs = performance.now()
      if (nowMs < nextMs) return
      nextMs = nowMs + everyMs
      const seconds = Math.round((nowMs - startMs) / 1000)
      onProblem(`reading: ${records.toLocaleString('en')} records in ${seconds} s`)
    },
  }
}

function abortOf(signal: AbortSignal): Promise<'aborted'> {
  return new Promise(resolve => {
    if (signal.aborted) resolve('aborted')
    signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
}

/** One line: the problem and its cure. */
export function problemText(error: unknown, { kafka }: Config): string {
  const cluster = `Kafka at ${kafka.brokers.join(', ')}`
  if (error instanceof MissingTopics) {
    const cure = 'Create it, or set kafka.topics to the topics that the bridge writes'
    return `${cluster} has no topic ${error.message}. ${cure}`
  }
  const cure = 'Start it, or correct kafka.brokers, kafka.tls and kafka.sasl'
  const reason = describeError(error, kafka.brokers)
  const end = /[.?!]$/.test(reason) ? '' : '.'
  return `${cluster} cannot be read: ${reason}${end} ${cure}`
}
