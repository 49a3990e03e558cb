import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config/config.ts'
import { CannotStart } from '../../config/lifetime.ts'
import { describe } from '../kafka/errors.ts'
import { conclude } from './conclude.ts'
import { MissingTopics, startFeed } from './feed.ts'
import { startLedger } from './ledger.ts'
import { describeReport, exitCodeOf, reportOf } from './report.ts'

/** A heartbeat that is late by so many of its intervals is missed. */
const HEARTBEATS = 3
const WATCH_EVERY_MS = 5000

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
export async function verify(options: VerifyOptions): Promise<number> {
  const { config, signal, watch = false, json = false } = options
  const { brokers, topics } = config.kafka
  if (brokers.length === 0) {
    throw new CannotStart(
      'kafka.brokers is not configured. Set it, or SLUICE_KAFKA_BROKERS, to host:port of a broker',
    )
  }
  const ledger = startLedger()
  // A backlog that is drained behind live data has a topic of its own where one is configured.
  const { backfill } = topics as { backfill?: string }
  const events = [...(backfill === undefined ? [] : [backfill]), topics.readings]
  const feed = startFeed({ kafka: config.kafka, ledger, topics: { ledger: topics.ledger, events } })
  const judge = () => {
    const nowMs = Date.now()
    const conclusions = conclude(ledger.gateways.values(), {
      nowMs,
      silentAfterMs: options.silentAfterMs ?? HEARTBEATS * config.outbox.heartbeatMs,
      inFlightMaxEvents: config.bridge.batchMaxEvents + config.outbox.groupMaxEvents,
      expiredBefore: feed.expiredBefore,
    })
    const report = reportOf(conclusions, feed.foreign, nowMs)
    return {
      code: exitCodeOf(report),
      text: json ? JSON.stringify(report) : describeReport(report),
    }
  }
  await feed.readOn().catch(error => {
    throw new CannotStart(problemOf(error, config))
  })
  let [{ code, text }, said] = [judge(), '']
  for (;;) {
    if (text !== said) options.onReport(text)
    said = text
    if (!watch || !(await rest(signal))) return code
    await feed.readOn().catch(error => options.onProblem(problemOf(error, config)))
    ;({ code, text } = judge())
  }
}

/** False when asked to end. */
async function rest(signal: AbortSignal): Promise<boolean> {
  await sleep(WATCH_EVERY_MS, undefined, { signal }).catch(() => {})
  return !signal.aborted
}

/** One line that says what is wrong and what to do. */
function problemOf(error: unknown, { kafka }: Config): string {
  const brokers = kafka.brokers.join(', ')
  if (error instanceof MissingTopics) {
    return `Kafka at ${brokers} has no topic ${error.message}. Create it, or set kafka.topics to where the bridge writes`
  }
  return `Kafka at ${brokers} cannot be read: ${describe(error)}. Start it, or set kafka.brokers to where it is`
}
