import {
  type Connection,
  openConnection,
  type Publication,
  type QualityOfService,
} from './connection.ts'
import type { PublishRecord } from './record.ts'
import { createSendQueue, type SendQueue } from './send-queue.ts'

export type PoolOptions = {
  host: string
  port: number
  runId: string
  /** The QoS of each device, by its index. */
  qos: readonly QualityOfService[]
  connections: number
  inFlightMax: number
  waitingMax: number
  reconnectMinMs: number
  reconnectMaxMs: number
  record: PublishRecord
  /** Called when a message was acknowledged or sent, or a connection opened or failed. */
  onChange: () => void
}

/** A bounded number of connections; all messages of one device use the same connection. */
export type ConnectionPool = AsyncDisposable & {
  readonly connections: number
  readonly connected: number
  readonly reconnects: number
  readonly inFlight: number
  readonly waiting: number
  readonly lastError: string | undefined
  isFull(deviceIndex: number): boolean
  /**
   * Sends the message at once and returns true, or queues the message in order and returns false.
   */
  put(publication: Publication): boolean
}

type Member = { connection: Connection; queue: SendQueue }

function openMember(options: PoolOptions, at: number, failed: (error: Error) => void): Member {
  const { record, onChange } = options
  const qosOfMember = options.qos.filter((_, index) => index % options.connections === at)
  const connection: Connection = openConnection(
    {
      ...options,
      clientId: `sim-${options.runId}-${at}`,
      keepSession: qosOfMember.includes(2),
    },
    {
      acknowledged: number => record.acknowledge(number),
      resent: number => record.resend(number),
      roomChanged() {
        queue.pump()
        onChange()
      },
      failed,
    },
  )
  const queue: SendQueue = createSendQueue(connection, options.waitingMax, publication =>
    record.publish(publication.number, publication.deviceIndex),
  )
  return { connection, queue }
}

/** Opens all connections. Each connection connects and reconnects in the background. */
export function openPool(options: PoolOptions): ConnectionPool {
  let lastError: string | undefined
  const failed = (error: Error) => {
    lastError = error.message || String(error)
    options.onChange()
  }
  const members = Array.from({ length: options.connections }, (_, at) =>
    openMember(options, at, failed),
  )
  const sum = (count: (member: Member) => number) =>
    members.reduce((total, member) => total + count(member), 0)
  const queueOf = (deviceIndex: number) => members[deviceIndex % members.length]!.queue
  return {
    connections: members.length,
    get connected() {
      return sum(({ connection }) => (connection.ready ? 1 : 0))
    },
    get reconnects() {
      return sum(({ connection }) => connection.reconnects)
    },
    get inFlight() {
      return sum(({ connection }) => connection.inFlight)
    },
    get waiting() {
      return sum(({ queue }) => queue.waiting)
    },
    get lastError() {
      return lastError
    },
    isFull: deviceIndex => queueOf(deviceIndex).isFull(),
    put: publication => queueOf(publication.deviceIndex).put(publication),
    async [Symbol.asyncDispose]() {
      await Promise.all(members.map(({ connection }) => connection[Symbol.asyncDispose]()))
    },
  }
}
