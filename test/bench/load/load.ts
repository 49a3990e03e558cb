// The load generator, a process of its own: node load.ts '{"port":1883,"messages":1000}' publishes
// QoS 1 messages and answers with one JSON object when all messages are acknowledged.

import { type Percentiles, percentilesOf } from '../measure/percentiles.ts'
import { sharedClockUs } from './clock.ts'
import { type Connection, openConnection } from './connection.ts'
import { PAYLOAD_BYTES } from './packets.ts'

export type LoadOptions = {
  port: number
  /** The number of messages. Message n is from device n modulo the number of connections. */
  messages: number
  host?: string
  connections?: number
  /** The largest number of messages without PUBACK per connection. */
  inFlight?: number
  /**
   * Messages a second, on a schedule that does not wait for PUBACKs; by default as fast as
   * possible.
   */
  ratePerSecond?: number
}

export type LoadResult = {
  messages: number
  acknowledged: number
  /**
   * The number of acknowledged messages of each device. PUBACKs arrive in order, so these are the
   * device's first messages.
   */
  acknowledgedByDevice: number[]
  /** From the first message to the last PUBACK. */
  seconds: number
  acksPerSecond: number
  /** From the message's scheduled or actual publish time to its PUBACK. */
  ackMs: Percentiles | null
  startedAtUs: number
  payloadBytes: number
  cpuSecondsPerMillion: number
}

const STALLED_MS = 30_000
const TICK_MS = 1

await main(JSON.parse(process.argv[2] ?? '{}')).catch(error => {
  process.stdout.write(`${JSON.stringify({ error: `load: ${error.message}` })}\n`)
})
process.exit()

async function main(options: LoadOptions): Promise<void> {
  process.stdout.write(`${JSON.stringify(await load(options))}\n`)
}

async function load({ host = '127.0.0.1', port, messages, ...more }: LoadOptions) {
  const { connections: count = 50, inFlight = 20, ratePerSecond } = more
  const latenciesMs = new Float64Array(messages)
  const done = Promise.withResolvers<void>()
  let acknowledged = 0
  let startedAtUs = 0
  const numberOf = (device: number, n: number) => device + n * count
  const intervalUs = ratePerSecond === undefined ? null : 1e6 / ratePerSecond
  const open = (device: number) =>
    openConnection({
      ...{ host, port, device, inFlight, onBroken: reason => done.reject(new Error(reason)) },
      numberOf: n => numberOf(device, n),
      publishTimeUs: (n, nowUs) =>
        intervalUs === null ? nowUs : startedAtUs + numberOf(device, n) * intervalUs,
      onAcknowledged(latencyUs) {
        latenciesMs[acknowledged++] = latencyUs / 1000
        if (acknowledged === messages) done.resolve()
      },
    })
  done.promise.catch(() => {})
  const connections = await Promise.all(Array.from({ length: count }, (_, device) => open(device)))

  const cpuBefore = process.cpuUsage()
  startedAtUs = sharedClockUs()
  const schedule = startSchedule(connections, messages, intervalUs, startedAtUs)
  const watch = watchProgress(() => acknowledged, done.reject)
  await done.promise
  const seconds = (sharedClockUs() - startedAtUs) / 1e6
  const { user, system } = process.cpuUsage(cpuBefore)
  clearInterval(schedule)
  clearInterval(watch)
  for (const connection of connections) connection.close()
  return {
    messages,
    acknowledged,
    acknowledgedByDevice: connections.map(connection => connection.acknowledged),
    seconds,
    acksPerSecond: acknowledged / seconds,
    ackMs: percentilesOf(latenciesMs),
    startedAtUs,
    payloadBytes: PAYLOAD_BYTES,
    cpuSecondsPerMillion: (user + system) / acknowledged,
  } satisfies LoadResult
}

/** Raises how many messages each connection shall publish, by the clock if there is an interval. */
function startSchedule(
  connections: Connection[],
  messages: number,
  intervalUs: number | null,
  startedAtUs: number,
): NodeJS.Timeout | undefined {
  const count = connections.length
  const sharesOf = (due: number, device: number) => Math.ceil((due - device) / count)
  let due = 0
  const publish = (until: number) => {
    const from = due
    due = until
    // At most one call for each connection, however many messages are ready.
    for (let step = 0; step < Math.min(until - from, count); step++) {
      const device = (from + step) % count
      connections[device]!.publish(sharesOf(until, device))
    }
  }
  if (intervalUs === null) return void publish(messages)
  return setInterval(() => {
    const elapsedUs = sharedClockUs() - startedAtUs
    publish(Math.min(messages, Math.floor(elapsedUs / intervalUs) + 1))
  }, TICK_MS)
}

function watchProgress(progress: () => number, onStalled: (reason: Error) => void) {
  let last = -1
  return setInterval(() => {
    if (progress() === last) onStalled(new Error(`no PUBACK for ${STALLED_MS} ms`))
    last = progress()
  }, STALLED_MS)
}
