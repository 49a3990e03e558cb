import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../../config/config.ts'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import { keepHeapSmall } from '../../config/process/heap.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { isDiskFull } from '../store/file/ballast.ts'
import { isDamage, markDamaged } from '../store/file/damage-mark.ts'
import { type Outbox, openOutbox } from '../store/outbox.ts'
import type { UnreleasedBounds } from '../store/qos2-unreleased.ts'
import type { RecoveryReport } from '../store/recovery/recovery.ts'
import { createRetention } from '../store/retention/retention.ts'
import { type CommitCounts, commitHandovers } from './commit.ts'
import {
  type DeadLetterOutcome,
  type DeadLetterRequest,
  resolveDeadLetters,
} from './dead-letter-retry.ts'
import { createFateDecision } from './fate.ts'
import { unpackHandovers } from './handover-codec.ts'
import { type MaintenanceTask, type OutboxStatus, openMaintenance } from './maintenance.ts'
import { createTimeProblems, type TimeReport } from './time/time-problems.ts'

/** `connected`: the ids of all connected clients; only near the bound of QoS 2 messages. */
type CommitRequest = {
  packed: ArrayBuffer
  count: number
  clock: ClockState
  connected: string[]
}
/** Which clients' unreleased QoS 2 messages are to be forgotten: these, or all except these. */
export type UnreleasedRequest = { clients: string[] } | { exceptClients: string[] }
type MaintenanceRequest = { task: MaintenanceTask; clock: ClockState }

/**
 * A request to the writer thread. The main thread waits for the response before it sends the next
 * request.
 */
export type WriterRequest =
  | CommitRequest
  | MaintenanceRequest
  | { deadLetters: DeadLetterRequest }
  | { unreleased: UnreleasedRequest }
  | 'close'

/**
 * `isFull`: the outbox is full, and refuses messages until it has space. `mustReopen`: the outbox
 * cannot be trusted until it is opened again. `hasMore`: retention may have another step to do.
 */
export type WriterResponse =
  | {
      kind: 'opened'
      store: string
      /** The gateway's id in every event. */
      gateway: string
      epoch: number
      recovery: RecoveryReport | null
      status: OutboxStatus
    }
  | { kind: 'cannot start'; reason: string; isTemporary: boolean }
  | {
      kind: 'committed'
      counts: CommitCounts
      commitMs: number
      timeReports: TimeReport[]
      status: OutboxStatus
    }
  | { kind: 'maintained'; hasMore: boolean; status: OutboxStatus }
  | { kind: 'resolved'; outcomes: DeadLetterOutcome[]; status: OutboxStatus }
  | { kind: 'refused'; reason: string; isFull: boolean; mustReopen: boolean }
  | { kind: 'forgotten'; count: number; status: OutboxStatus }
  | { kind: 'closed' }

export type WriterData = {
  /** The configured id; null: the id that the outbox has, or draws. */
  gateway: string | null
  ingest: Config['ingest']
  outbox: Config['outbox']
  inboxFile: string
  unreleasedBounds: UnreleasedBounds & { keepMs: number }
  /** How many undelivered events the bridge may have read already. */
  readAheadMaxEvents?: number
}

// The launcher loads this module outside a thread, only to compile it.
if (parentPort) serve(parentPort, workerData as WriterData)

function serve(port: MessagePort, { ingest, ...data }: WriterData) {
  const { outbox: settings, inboxFile, unreleasedBounds } = data
  keepHeapSmall()
  const respond = (response: WriterResponse) => port.postMessage(response)
  const timeProblems = createTimeProblems()
  const fateOf = createFateDecision(ingest, timeProblems.record)
  const opened = openStores(data)
  if (opened instanceof CannotStart) {
    const { message: reason, isTemporary } = opened
    return respond({ kind: 'cannot start', reason, isTemporary })
  }
  const { outbox, retention } = opened
  const files = { outboxFile: settings.file, inboxFile }
  const times = { heartbeatMs: settings.heartbeatMs, qos2KeepMs: unreleasedBounds.keepMs }
  const maintenance = openMaintenance(opened, files, times, timeProblems)
  const { gateway, epoch, recovery } = outbox
  const store = outbox.store.toString('hex')
  respond({ kind: 'opened', store, gateway, epoch, recovery, status: maintenance.status() })

  const commit = ({ packed, count, clock, connected }: CommitRequest): WriterResponse => {
    const handovers = unpackHandovers(packed, count)
    const reason = handovers.some(({ kind }) => kind === 'message') ? retention.admit() : null
    if (reason !== null) return { kind: 'refused', reason, isFull: true, mustReopen: false }
    const from = outbox.lastSequence + 1
    const startMs = performance.now()
    const ids = new Set(connected)
    const counts = commitHandovers(outbox, fateOf, handovers, {
      ...{ clock, unreleasedBounds, isConnected: client => ids.has(client) },
    })
    outbox.checkFiles()
    const commitMs = performance.now() - startMs
    maintenance.measureCommit(counts.deadLettered)
    if (counts.stored > 0) maintenance.recordReceived(clock, { from, to: outbox.lastSequence })
    const timeReports = timeProblems.newReports()
    return { kind: 'committed', counts, commitMs, timeReports, status: maintenance.status() }
  }

  const resolve = (request: DeadLetterRequest): WriterResponse => {
    const limits = { nowMs: Date.now(), maxBytes: settings.groupMaxBytes }
    const outcomes = resolveDeadLetters(outbox, request, fateOf, limits)
    outbox.checkFiles()
    return { kind: 'resolved', outcomes, status: maintenance.status() }
  }

  port.on('message', (request: WriterRequest) => {
    try {
      if (request === 'close') {
        outbox.close()
        maintenance.close()
        respond({ kind: 'closed' })
        port.close()
      } else if (isCommit(request)) respond(commit(request))
      else if ('deadLetters' in request) respond(resolve(request.deadLetters))
      else if ('unreleased' in request) {
        const count = forgetUnreleased(outbox, request.unreleased)
        respond({ kind: 'forgotten', count, status: maintenance.status() })
      } else {
        const hasMore = maintenance.run(request.task, request.clock)
        respond({ kind: 'maintained', hasMore, status: maintenance.status() })
      }
    } catch (error) {
      const { message, code } = error as Error & { code?: string }
      if (isDamage(error)) markDamaged(settings.file, message)
      const isFull = isDiskFull(error)
      if (isFull) retention.onDiskFull()
      const isForUsers = error instanceof CannotStart
      const reason = isForUsers ? message : `${code ?? 'ERROR'}: ${message}`
      // Another error without a code is a fault of our program. The commit that it interrupted is
      // rolled back, so the outbox stays usable.
      const isOurs = code === undefined && !isForUsers && !isDamage(error)
      const mustReopen = !isFull && !(isOurs && isCommit(request))
      respond({ kind: 'refused', reason, isFull, mustReopen })
    }
  })
}

/** Forgets unreleased QoS 2 messages in a commit of its own; returns how many. */
function forgetUnreleased(outbox: Outbox, request: UnreleasedRequest): number {
  const { unreleased } = outbox
  const kept = new Set('exceptClients' in request ? request.exceptClients : [])
  const clients = 'clients' in request ? request.clients : unreleased.clients
  let count = 0
  for (const client of clients) if (!kept.has(client)) count += unreleased.forget(client)
  outbox.commit({})
  outbox.checkFiles()
  return count
}

const isCommit = (request: WriterRequest): request is CommitRequest =>
  request !== 'close' && 'packed' in request

/**
 * Opens the outbox and its retention; returns the CannotStart error when one of the two throws it.
 */
function openStores({ gateway, outbox: settings, inboxFile, readAheadMaxEvents }: OpenOptions) {
  let outbox: Outbox | null = null
  try {
    outbox = openOutbox({ file: settings.file, gateway, inboxFile })
    return { outbox, retention: createRetention(outbox, settings, { readAheadMaxEvents }) }
  } catch (error) {
    outbox?.close()
    if (!(error instanceof CannotStart)) throw error
    return error
  }
}

type OpenOptions = Omit<WriterData, 'ingest' | 'unreleasedBounds'>
