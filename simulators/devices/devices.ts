import type { ExitCode } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { QualityOfService } from './connection.ts'
import { type ConnectionPool, openPool } from './pool.ts'
import { createPublishRecord, type PublishRecord } from './record.ts'
import { createRunner } from './runner.ts'
import { createWaiter, type Waiter } from './waiter.ts'

/** Where a simulated device is installed: the parts of its topic. */
export type DeviceAddress = {
  site: string
  zone: string
  name: string
}

export type DevicePayload = Readonly<Record<string, string | number | boolean | null>>

/** A message of a device before it has a number. */
export type OutgoingMessage<Device extends DeviceAddress> = {
  device: Device
  payload: DevicePayload
  /** The topic of this message; by default `topicOf(device)`. */
  topic?: string
  /** Earliest time of sending, ms after the start of the run; for a source with its own clock. */
  notBeforeMs?: number
}

export type DevicesOptions<Device extends DeviceAddress> = {
  host: string
  port: number
  devices: readonly Device[]
  /** Message n, or null at the end. Called once for each n, in order, at the scheduled time. */
  next: (n: number) => OutgoingMessage<Device> | null | PromiseLike<OutgoingMessage<Device> | null>
  /** Message n of a run is scheduled n / ratePerSecond s after its start. Infinity: no schedule. */
  ratePerSecond?: number
  /** The largest number of connections; a connection serves every n-th device. */
  connections?: number
  qos?: QualityOfService | ((device: Device) => QualityOfService)
  /** Unacknowledged messages of one connection at a time. */
  inFlightMax?: number
  /**
   * The number of messages that may wait for one connection. When a further message is scheduled,
   * the schedule stops until there is room.
   */
  waitingMax?: number
  /** A short text that identifies the messages of this run. Random by default. */
  runId?: string
  topicOf?: (device: Device) => string
  connectTimeoutMs?: number
  reconnectMinMs?: number
  reconnectMaxMs?: number
}

/** Counts since the start, except for those marked "now". Printed as JSON by `sluice simulate`. */
export type DeviceCounters = {
  scheduled: number
  published: number
  acknowledged: number
  /** Messages sent more than once. */
  resent: number
  /** Messages that had to wait because their connection was down or full. */
  delayed: number
  reconnects: number
  /** Now: sent and not completed by the broker. */
  inFlight: number
  /** Now: scheduled and not sent yet. */
  waiting: number
  /** Now: connections that are up. */
  connected: number
  lastError: string | undefined
}

export type ConnectedDevices = AsyncDisposable & {
  readonly runId: string
  /** Records which messages were published and which were acknowledged. */
  readonly record: PublishRecord
  counters(): DeviceCounters
  /**
   * Publishes on schedule for a number of ms or until a signal, but not beyond the end of the
   * source.
   */
  run(until: AbortSignal | number): Promise<void>
  /**
   * Waits until the broker has completed every message, as long as the broker completes at least
   * one message every `idleMs`; with a signal, at most until the signal aborts. Returns the number
   * of messages that are not completed or not sent.
   */
  drain(idleMs: number, signal?: AbortSignal): Promise<number>
}

/** The topic of a device, in the form that the gateway's default route matches. */
export function topicOf(device: DeviceAddress): string {
  return `building/${device.site}/zone/${device.zone}/sensor/${device.name}`
}

/** An option has a wrong value; the message names the option and the value. */
export class WrongOption extends RangeError {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
}

function newRunId(): string {
  return Math.random().toString(36).slice(2, 6).padEnd(4, '0')
}

/** Fills in the defaults. Throws a RangeError that names the first option with a wrong value. */
function checkOptions<Device extends DeviceAddress>(options: DevicesOptions<Device>) {
  if (options.devices.length === 0)
    throw new WrongOption('devices is empty: give at least one device')
  const { connections = 20, inFlightMax = 20, waitingMax = 1000, ratePerSecond = 500 } = options
  for (const [name, value] of Object.entries({ connections, inFlightMax, waitingMax })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new WrongOption(`${name} is ${value}: give a whole number of at least 1`)
    }
  }
  if (!(ratePerSecond > 0)) {
    throw new WrongOption(`ratePerSecond is ${ratePerSecond}: give a number above 0, or Infinity`)
  }
  return {
    inFlightMax,
    waitingMax,
    ratePerSecond,
    connections: Math.min(connections, options.devices.length),
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    reconnectMinMs: options.reconnectMinMs ?? 100,
    reconnectMaxMs: options.reconnectMaxMs ?? 400,
    runId: options.runId ?? newRunId(),
  }
}

/**
 * Throws for a topic with a wildcard: a broker closes the connection when it receives such a topic.
 */
function checkTopics<Device extends DeviceAddress>(
  devices: readonly Device[],
  topics: (device: Device) => string,
) {
  const refused = devices.find(device => /[+#\0]/.test(topics(device)))
  if (!refused) return
  throw new CannotStart(
    `the topic ${topics(refused)} has a + or #: rename the site, zone or device`,
  )
}

async function waitUntilConnected(
  pool: ConnectionPool,
  waiter: Waiter,
  address: string,
  timeoutMs: number,
) {
  const endMs = performance.now() + timeoutMs
  while (pool.connected < pool.connections) {
    const leftMs = endMs - performance.now()
    if (leftMs <= 0) {
      const reason = pool.lastError ? ` (${pool.lastError})` : ''
      throw new CannotStart(
        `${pool.connected} of ${pool.connections} devices' connections to ${address} are up after ` +
          `${timeoutMs} ms${reason}: start the gateway, or correct host and port`,
        { isTemporary: true },
      )
    }
    await waiter.wait(leftMs, 'wake-on-change')
  }
}

/**
 * Connects simulated devices to an MQTT broker. Resolves when all connections are up; rejects when
 * they are not after `connectTimeoutMs` (10 s), and with a RangeError for a wrong option. A lost
 * connection reconnects and resends the unacknowledged messages in order. Every message carries
 * `simulated_run` and its number, `simulated_number`. The record counts a message as acknowledged
 * only after its PUBACK or PUBREC was read.
 */
export async function connectDevices<Device extends DeviceAddress>(
  options: DevicesOptions<Device>,
): Promise<ConnectedDevices> {
  const settings = checkOptions(options)
  const { devices, host, port, qos = 1 } = options
  const { runId } = settings
  const topics = options.topicOf ?? topicOf
  checkTopics(devices, topics)
  const record = createPublishRecord(devices.length)
  const indexOf = new Map(devices.map((device, index) => [device, index]))
  const qosOf = devices.map(device => (typeof qos === 'function' ? qos(device) : qos))
  const runWaiter = createWaiter()
  const drainWaiter = createWaiter()
  const disposing = new AbortController()
  let delayed = 0
  await using opening = new AsyncDisposableStack()
  const onChange = () => {
    runWaiter.notifyChange()
    drainWaiter.notifyChange()
  }
  const pool = opening.use(openPool({ ...settings, host, port, qos: qosOf, record, onChange }))
  const deviceIndexOf = (device: Device) => {
    const index = indexOf.get(device)
    if (index === undefined) throw new Error(`${device.name} is not among the connected devices`)
    return index
  }
  const runner = createRunner<OutgoingMessage<Device>>({
    waiter: runWaiter,
    ratePerSecond: settings.ratePerSecond,
    disposing: disposing.signal,
    next: options.next,
    isFull: message => pool.isFull(deviceIndexOf(message.device)),
    put(number, { device, payload, topic = topics(device) }) {
      const deviceIndex = deviceIndexOf(device)
      const numbered = { simulated_run: runId, simulated_number: number, ...payload }
      const text = JSON.stringify(numbered)
      const sent = pool.put({ number, deviceIndex, topic, payload: text, qos: qosOf[deviceIndex]! })
      if (!sent) delayed++
    },
  })
  await waitUntilConnected(pool, runWaiter, `${host}:${port}`, settings.connectTimeoutMs)
  const owned = opening.move()
  return {
    runId,
    record,
    run: runner.run,
    counters: () => ({
      ...record.total,
      scheduled: runner.scheduled(),
      delayed,
      reconnects: pool.reconnects,
      inFlight: pool.inFlight,
      waiting: pool.waiting,
      connected: pool.connected,
      lastError: pool.lastError,
    }),
    async drain(idleMs, signal) {
      const outstanding = () => pool.waiting + pool.inFlight
      const ending = signal ? AbortSignal.any([signal, disposing.signal]) : disposing.signal
      ending.addEventListener('abort', drainWaiter.wake)
      let before = outstanding()
      let idleSinceMs = performance.now()
      while (outstanding() > 0 && !ending.aborted) {
        if (outstanding() < before) idleSinceMs = performance.now()
        before = outstanding()
        const leftMs = idleSinceMs + idleMs - performance.now()
        if (leftMs <= 0) break
        await drainWaiter.wait(leftMs, 'wake-on-change')
      }
      ending.removeEventListener('abort', drainWaiter.wake)
      return outstanding()
    },
    async [Symbol.asyncDispose]() {
      disposing.abort()
      runWaiter.wake()
      drainWaiter.wake()
      await owned.disposeAsync()
    },
  }
}
