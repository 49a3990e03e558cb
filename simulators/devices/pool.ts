import {
  type Connection,
  openConnection,
  type Publication,
  type QualityOfService,
} from './connection.ts'
import type { PublishRecord } from './record.ts'
import { createSendQueue, type SendQueue } from './send-queue.ts'

export interface PoolOptions {
  readonly host: string
  readonly port: number
  readonly runId: string
  /** The QoS of each device, by its index. */
  readonly qos: readonly QualityOfService[]
  readonly connections: number
  readonly inFlightMax: number
  readonly waitingMax: number
  readonly reconnectMinMs: number
  readonly reconnectMaxMs: number
  readonly record: PublishRecord
  /** Something was acknowledged, sent, connected or lost. */
  readonly changed: () => void
}

/** A bounded number of connections; all messages of one device go over the same one. */
export interface ConnectionPool extends AsyncDisposable {
  readonly connections: number
  readonly connected: number
  readonly reconnects: number
  readonly inFlight: number
  readonly waiting: number
  readonly lastError: string | undefined
  isFull(deviceIndex: number): boolean
  /** Sends at once if it can, else keeps it in its order; true is sent. */
  put(publication: Publication): boolean
}

function openOne(options: PoolOptions, at: number, failed: (error: Error) => void) {
  const { record, changed } = options
  const carried = options.qos.filter((_, index) => index % options.connections === at)
  const connection: Connection = openConnection(
    {
      ...options,
      clientId: `sim-${options.runId}-${at}`,
      keepSession: carried.includes(2),
    },
    {
      acknowledged: number => record.acknowledge(number),
      resent: number => record.resend(number),
      roomChanged() {
        lane.pump()
        changed()
      },
      failed,
    },
  )
  const lane: SendQueue = createSendQueue(connection, options.waitingMax, publication =>
    record.publish(publication.number, publication.deviceIndex),
  )
  return { connection, lane }
}

/** Opens all connections; they come up, and back, by themselves. */
export function openPool(options: PoolOptions): ConnectionPool {
  let lastError: string | undefined
  const failed = (error: Error) => {
    lastError = error.message || String(error)
    options.changed()
  }
  const all = Array.from({ length: options.connections }, (_, at) => openOne(options, at, failed))
  const sum = (of: (one: (typeof all)[number]) => number) =>
    all.reduce((total, one) => total + of(one), 0)
  const laneOf = (deviceIndex: number) => all[deviceIndex % all.length]!.lane
  return {
    connections: all.length,
    get connected() {
      return sum(one => (one.connection.ready ? 1 : 0))
    },
    get reconnects() {
      return sum(one => one.connection.reconnects)
    },
    get inFlight() {
      return sum(one => one.connection.inFlight)
    },
    get waiting() {
      return sum(one => one.lane.waiting)
    },
    get lastError() {
      return lastError
    },
    isFull: deviceIndex => laneOf(deviceIndex).isFull(),
    put: publication => laneOf(publication.deviceIndex).put(publication),
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map(one => one.connection[Symbol.asyncDispose]()))
    },
  }
}
