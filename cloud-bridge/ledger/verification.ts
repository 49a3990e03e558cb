import type { Config } from '../../config/config.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { pause } from '../../config/process/pause.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import { describeError } from '../kafka/error-codes.ts'
import type { EventStream } from '../ports/event-stream.ts'
import { createEventReader } from '../registry/event-reader.ts'
import { createRegistryClient } from '../registry/registry.ts'
import { assessGateways } from './assessment.ts'
import { createLedger } from './ledger.ts'
import { createReport, describeReport, exitCodeOf, type LedgerReport } from './report.ts'
import { createTopicReader, MissingTopics } from './topic-reader.ts'

/** A gateway that was not heard for so many heartbeats is silent. */
const HEARTBEATS = 3
const WATCH_EVERY_MS = 5000
/** The exit code when asked to end before there was anything to report. */
const INTERRUPTED = 130

export type VerifyOptions = {
  config: Config
  /** Silent after so long without a heartbeat, in ms; three heartbeats otherwise. */
  silentAfterMs?: number | undefined
  watch?: boolean | undefined
  json?: boolean | undefined
  signal: AbortSignal
  onReport(text: string): void
  onProblem(line: string): void
}

/**
 * Reads the topics from their beginning and says how far each gateway is complete, or names what is
 * not; with `watch` again and again, until the signal. Gives the exit code of the last report.
 * Throws CannotStart when Kafka is not configured, away, or has no such topics at the beginning.
 */
export async function verifyLedger(options: VerifyOptions): Promise<number> {
  const { config, signal, watch = false, json = false, onReport, onProblem } = options
  if (config.kafka.brokers.length === 0) {
    const cure = 'Set it, or SLUICE_KAFKA_BROKERS, to host:port of a broker'
    throw new CannotStart(`kafka.brokers is not configured. ${cure}`)
  }
  const look = startLook(options, (await createKafkaClient(config.kafka)).stream)
  const isEnded = endOf(signal)
  let [code, said] = [INTERRUPTED, '']
  for (let round = 0; ; round++) {
    const found = await Promise.race([look(), isEnded]).catch(error => {
      const problem = problemOf(error, config)
      if (round === 0) throw new CannotStart(problem)
      onProblem(problem)
    })
    if (found === 'ended') return code
    if (found) {
      code = exitCodeOf(found)
      const text = json ? JSON.stringify(found) : describeReport(found)
      if (text !== said) onReport(text)
      said = text
    }
    if (!watch) return code
    await pause(WATCH_EVERY_MS, signal)
  }
}

/** Each look reads on from where the last one ended, and gives what it comes to by now. */
function startLook({ config, silentAfterMs, signal }: VerifyOptions, stream: EventStream) {
  const { kafka, bridge, outbox, registry } = config
  const ledger = createLedger()
  const { url } = registry
  const reader = createEventReader(
    url === null ? null : createRegistryClient({ ...registry, url, signal }),
  )
  const feed = createTopicReader({ stream, ledger, topics: kafka.topics, reader })
  return async (): Promise<LedgerReport> => {
    await feed.readOn()
    const nowMs = Date.now()
    const conclusions = assessGateways(ledger.gateways.values(), {
      nowMs,
      silentAfterMs: silentAfterMs ?? HEARTBEATS * outbox.heartbeatMs,
      // The bridge takes whole groups, the last of which may go beyond its limit.
      inFlightMaxEvents: bridge.batchMaxEvents + outbox.groupMaxEvents,
      cuts: ledger.cuts,
      backlogCuts: ledger.backlogCuts,
    })
    return createReport(conclusions, feed.foreign, nowMs)
  }
}

function endOf(signal: AbortSignal): Promise<'ended'> {
  return new Promise(resolve => {
    if (signal.aborted) resolve('ended')
    signal.addEventListener('abort', () => resolve('ended'), { once: true })
  })
}

/** One line that says what is wrong and what to do. */
function problemOf(error: unknown, { kafka }: Config): string {
  const where = `Kafka at ${kafka.brokers.join(', ')}`
  if (error instanceof MissingTopics) {
    const cure = 'Create it, or set kafka.topics to where the bridge writes'
    return `${where} has no topic ${error.message}. ${cure}`
  }
  const cure = 'Start it, or set kafka.brokers, kafka.tls and kafka.sasl as it needs them'
  return `${where} cannot be read: ${describeError(error)}. ${cure}`
}
