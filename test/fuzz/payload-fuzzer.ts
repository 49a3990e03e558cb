import { defaults, type Route } from '../../config/config.ts'
import { encodeEvent } from '../../config/event/sensor-reading.ts'
import { createFateDecision } from '../../gateway/ingest/fate.ts'
import { payloadOf } from './payload-mutations.ts'
import { createRandom, seedOf } from './random.ts'

export type PayloadRun = {
  seed: number
  /** The number of the first payload. */
  from: number
  payloads: number
  isOver(): boolean
  onProgress(report: PayloadReport): void
}

/** How long a payload took, for each of its bytes. */
export type PayloadCost = { item: number; shape: string; bytes: number; nsPerByte: number }

export type PayloadReport = {
  seed: number
  payloads: number
  bytes: number
  events: number
  deadLetters: number
  /** Payloads for which the decoder or the encoder of events threw. */
  crashes: { item: number; shape: string; error: string }[]
  nsPerByte: number
  /** The payloads of at least `WEIGHED_MIN_BYTES` that took longest for each byte. */
  worst: PayloadCost[]
}

/** Smaller payloads cost mostly the call itself. */
const WEIGHED_MIN_BYTES = 2000
const WORST_COUNT = 5
/** A slow payload is decoded again, because the first time may include a garbage collection. */
const REPEATS = 5
const PROGRESS_EVERY = 20_000

const topic = 'fuzz/z/d'
const route: Route = {
  ...{ topic: 'fuzz/{zone}/{device}', format: 'json', site: 'hq' },
  time: { field: 'ts', unit: 'ms' },
}
const numbers = { gateway: 'gw', epoch: 1, sequence: 1, zoneSequence: 1 }
const id = '01234567-89ab-4cde-8f01-23456789abcd'

/**
 * Decides the fate of hostile payloads with the real decoder and encodes the events. Payload n
 * depends only on the seed and n.
 */
export function fuzzPayloads(run: PayloadRun): PayloadReport {
  const { seed, from, payloads, isOver, onProgress } = run
  const fateOf = createFateDecision({ ...defaults.ingest, routes: [route] })
  const report: PayloadReport = {
    ...{ seed, payloads: 0, bytes: 0, events: 0, deadLetters: 0, crashes: [], nsPerByte: 0 },
    worst: [],
  }
  let totalMs = 0
  const decide = (payload: Buffer) => {
    const startMs = performance.now()
    const fate = fateOf({ topic, payload, receivedAt: 1_764_547_200_000, clock: 'SYNCED' })
    if ('reading' in fate) encodeEvent({ ...fate.reading, ...numbers, id })
    return { fate, tookMs: performance.now() - startMs }
  }
  for (let item = from; item < from + payloads && !isOver(); item++) {
    const { shape, bytes } = payloadOf(createRandom(seedOf(seed, item)))
    report.payloads++
    report.bytes += bytes.length
    try {
      const { fate, tookMs } = decide(bytes)
      totalMs += tookMs
      if ('reading' in fate) report.events++
      else {
        report.deadLetters++
        const { reason } = fate.deadLetter
        if (reason.startsWith('the gateway failed')) throw new Error(reason)
      }
      if (bytes.length >= WEIGHED_MIN_BYTES) {
        const times = Array.from({ length: isSlow(tookMs, bytes) ? REPEATS : 0 }, () =>
          decide(bytes),
        )
        const fastestMs = Math.min(tookMs, ...times.map(time => time.tookMs))
        keepWorst({ item, shape, bytes: bytes.length, nsPerByte: (fastestMs * 1e6) / bytes.length })
      }
    } catch (error) {
      report.crashes.push({ item, shape, error: (error as Error).message })
    }
    if (report.payloads % PROGRESS_EVERY === 0) onProgress(finished())
  }
  return finished()

  function isSlow(tookMs: number, bytes: Buffer): boolean {
    const slowest = report.worst.at(-1)?.nsPerByte ?? 0
    return report.worst.length < WORST_COUNT || (tookMs * 1e6) / bytes.length > slowest
  }
  function keepWorst(cost: PayloadCost): void {
    report.worst.push(cost)
    report.worst.sort((a, b) => b.nsPerByte - a.nsPerByte)
    report.worst.length = Math.min(report.worst.length, WORST_COUNT)
  }
  function finished(): PayloadReport {
    report.nsPerByte = report.bytes === 0 ? 0 : (totalMs * 1e6) / report.bytes
    return report
  }
}
