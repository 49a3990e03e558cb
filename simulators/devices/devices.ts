import type { QualityOfService } from './connection.ts'
import { type ConnectionPool, openPool } from './pool.ts'
import { createPublishRecord, type PublishRecord } from './record.ts'
import { createRunner } from './runner.ts'
import { createWaiter, type Waiter } from './waiter.ts'

/** Where a simulated device hangs: enough for its topic. */
export interface DeviceAddress {
  readonly site: string
  readonly zone: string
  readonly name: string
}

export type DevicePayload = Readonly<Record<string, string | number | boolean | null>>

/** What a device has to say, before it is numbered. */
export interface OutgoingMessage<Device extends DeviceAddress> {
  readonly device: Device
  readonly payload: DevicePayload
  /** Instead of `topicOf(device)`. */
  readonly topic?: string
  /** Not before this long after the run's start, ms; for a source with a clock of its own. */
  readonly dueMs?: number
}

export interface DevicesOptions<Device extends DeviceAddress> {
  readonly host: string
  readonly port: number
  readonly devices: readonly Device[]
  /** Message n, or null at the end. Asked for once each, in order, when it is due. */
  readonly next: (
    n: number,
  ) => OutgoingMessage<Device> | null | PromiseLike<OutgoingMessage<Device> | null>
  /** Message n of a run is due n / ratePerSecond after its start. Infinity: as fast as it goes. */
  readonly ratePerSecond?: number
  /** At most this many; a connection carries every n-th device. */
  readonly connections?: number
  readonly qos?: QualityOfService | ((device: Device) => QualityOfService)
  /** Messages of a connection that may be unacknowledged at a time. */
  readonly inFlightMax?: number
  /** Messages that may wait in front of a connection; the schedule stands still beyond that. */
  readonly waitingMax?: number
  /** A short text that tells this run's messages from another's. Random by default. */
  readonly runId?: string
  readonly topicOf?: (device: Device) => string
  readonly connectTimeoutMs?: number
  readonly reconnectMinMs?: number
  readonly reconnectMaxMs?: number
}

/** Counts since the start, or of now where it says so. */
export interface DeviceCounters {
  /** Messages that were due. */
  readonly scheduled: number
  readonly published: number
  readonly acknowledged: number
  /** Messages sent more than once. */
  readonly resent: number
  /** Messages that found their connection away or full, and waited. */
  readonly delayed: number
  readonly reconnects: number
  /** Now: sent and not settled by the broker. */
  readonly inFlight: number
  /** Now: due, and not yet sent. */
  readonly waiting: number
  /** Now: connections that are up. */
  readonly connected: number
  readonly lastError: string | undefined
}

export interface ConnectedDevices extends AsyncDisposable {
  readonly runId: string
  /** What was published and acknowledged, message by message. */
  readonly record: PublishRecord
  counters(): DeviceCounters
  /** Publishes on schedule for this many ms, until the signal, or until the source ends. */
  run(until: AbortSignal | number): Promise<void>
  /** Waits until every message is settled, at most this long (ms). Returns how many are not. */
  drain(deadlineMs: number): Promise<number>
}

/** The topic that the gateway's default route takes apart. */
export function topicOf(device: DeviceAddress): string {
  return `building/${device.site}/zone/${device.zone}/sensor/${device.name}`
}

function newRunId(): string {
  return Math.random().toString(36).slice(2, 6).padEnd(4, '0')
}

/** Refuses what no schedule or pool can be built from, naming the option. */
function checkOptions<Device extends DeviceAddress>(options: DevicesOptions<Device>) {
  if (options.devices.length === 0) throw new RangeError('devices is empty: give at least one')
  const { connections = 20, inFlightMax = 20, waitingMax = 1000, ratePerSecond = 500 } = options
  for (const [name, value] of Object.entries({ connections, inFlightMax, waitingMax })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} is ${value}: give a whole number of at least 1`)
    }
  }
  if (!(ratePerSecond > 0)) {
    throw new RangeError(`ratePerSecond is ${ratePerSecond}: give a number above 0, or Infinity`)
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

/** A broker answers a wildcard in a topic by closing the connection, and would do so for ever. */
function checkTopics<Device extends DeviceAddress>(
  devices: readonly Device[],
  topics: (device: Device) => string,
) {
  const refused = devices.find(device => /[+#\0]/.test(topics(device)))
  if (!refused) return
  throw new Error(`the topic ${topics(refused)} has a + or #: rename the site, zone or device`)
}

async function untilConnected(
  pool: ConnectionPool,
  pause: Waiter,
  where: string,
  withinMs: number,
) {
  const endMs = performance.now() + withinMs
  while (pool.connected < pool.connections) {
    const leftMs = endMs - performance.now()
    if (leftMs <= 0) {
      const why = pool.lastError ? ` (${pool.lastError})` : ''
      throw new Error(
        `${pool.connected} of ${pool.connections} devices' connections to ${where} are up after ` +
          `${withinMs} ms${why}: start the gateway, or correct host and port`,
      )
    }
    await pause.wait(leftMs, 'or change')
  }
}

/**
 * Connects simulated devices to an MQTT broker and resolves when all connections are up; rejects
 * after `connectTimeoutMs` (10 s) when they are not. From then on each comes back by itself and
 * sends again what was not acknowledged, in order. Every message carries `simulated_run` and its
 * number, `simulated_number`; the record says acknowledged only after PUBACK or PUBREC was read.
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
  const pause = createWaiter()
  const drainPause = createWaiter()
  const disposing = new AbortController()
  let delayed = 0
  await using opening = new AsyncDisposableStack()
  const changed = () => {
    pause.notifyChange()
    drainPause.notifyChange()
  }
  const pool = opening.use(openPool({ ...settings, host, port, qos: qosOf, record, changed }))
  const deviceIndexOf = (device: Device) => {
    const index = indexOf.get(device)
    if (index === undefined) throw new Error(`${device.name} is not one of the devices connected`)
    return index
  }
  const runner = createRunner<OutgoingMessage<Device>>({
    pause,
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
  await untilConnected(pool, pause, `${host}:${port}`, settings.connectTimeoutMs)
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
    async drain(deadlineMs) {
      const endMs = performance.now() + deadlineMs
      const outstanding = () => pool.waiting + pool.inFlight
      while (outstanding() > 0 && performance.now() < endMs && !disposing.signal.aborted) {
        await drainPause.wait(endMs - performance.now(), 'or change')
      }
      return outstanding()
    },
    async [Symbol.asyncDispose]() {
      disposing.abort()
      pause.wake()
      drainPause.wake()
      await owned.disposeAsync()
    },
  }
}
