import type { Config } from '../../config/config.ts'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { AcceptHandover, Handover } from '../mqtt/broker.ts'
import type { UnreleasedBounds } from '../store/qos2-unreleased.ts'
import type { CommitCounts } from './commit.ts'
import { CommitQueue, RefusedError } from './commit-queue.ts'
import type { DeadLetterOutcome, DeadLetterRequest } from './dead-letter-retry.ts'
import { packHandovers } from './handover-codec.ts'
import type { MaintenanceTask, OutboxStatus } from './maintenance.ts'
import type { TimeReport } from './time/time-problems.ts'
import { createWriteBudget } from './write-budget.ts'
import { openWriterChannel, unexpectedText } from './writer-channel.ts'
import type {
  UnreleasedRequest,
  WriterData,
  WriterRequest,
  WriterResponse,
} from './writer-thread.ts'

/**
 * How often the writer thread measures the backlog, writes a due heartbeat and checks the bounds.
 */
const TICK_MS = 1000

export type WriterOptions = WriterData & {
  clock: () => ClockState
  /** Returns the ids of the connected clients. */
  connectedClients?(): string[]
  /**
   * Called after each commit. `timeReports` names devices whose own time is strange, each device
   * once.
   */
  onCommitted(counts: CommitCounts, commitMs: number, timeReports: TimeReport[]): void
  /**
   * Called for each refused commit with its number of handovers; while the outbox is full, only for
   * the first refused commit.
   */
  onRefused(count: number, reason: string): void
  /** Called when an outbox that was full has space again and accepts messages. */
  onSpaceAvailable?(): void
  /**
   * Called with a sentence when the write budget becomes exceeded, and with null when it is no
   * longer exceeded.
   */
  onWriteBudgetChange?(beyondBudget: string | null): void
  /** Called when the writer thread is silent for `outbox.writer.alarmAfterMs`. */
  onSilent?(silentMs: number): void
  /** Called when a silent writer thread answers after all. */
  onAnswered?(silentMs: number): void
  /** Called when unreleased QoS 2 messages were forgotten at a bound, with their number. */
  onQos2Forgotten?(bound: keyof UnreleasedBounds, count: number): void
  /**
   * Called when the outbox cannot be trusted until it is opened again. The process must then end
   * and restart.
   */
  onFailed(reason: string): void
}

export type Writer = Awaited<ReturnType<typeof startWriter>>

/**
 * Starts the writer thread, which is the only thread that writes to the outbox, and the queue of
 * the handovers that the thread commits. Resolves when the outbox is open; rejects with CannotStart
 * when the outbox cannot be opened.
 */
export async function startWriter({ clock, ...options }: WriterOptions) {
  const channel = await openWriterChannel(workerDataOf(options), {
    ...{ onSilent: noop, onAnswered: noop, ...options },
  })
  const { opened, send } = channel
  const { store, gateway, epoch, recovery } = opened
  let status: OutboxStatus = opened.status
  let refusal: { reason: string; isFull: boolean } | null = null

  /**
   * Records the response to a commit of `count` handovers, or with `count` 0 the response to
   * another request. Returns the reason of a refusal, or null.
   */
  const record = (count: number, response: WriterResponse): string | null => {
    if (response.kind === 'refused') {
      if (!response.isFull || !refusal?.isFull) options.onRefused(count, response.reason)
      refusal = response
      if (response.isFull) maintain()
      else if (response.mustReopen) options.onFailed(response.reason)
      return response.reason
    }
    if (response.kind !== 'committed' && response.kind !== 'maintained') return null
    reportForgotten(options, status, response.status)
    status = response.status
    const hasRoom = refusal?.isFull && status.space.refuses === null
    if (hasRoom) options.onSpaceAvailable?.()
    if (hasRoom || (count > 0 && !refusal?.isFull)) refusal = null
    if (response.kind === 'committed') {
      budget.recordCommit(response.counts)
      options.onCommitted(response.counts, response.commitMs, response.timeReports)
    } else if (response.hasMore) maintain()
    return null
  }
  const commit = async (handovers: Handover[]): Promise<string | null> => {
    const count = handovers.length
    const connected = connectedNearBound(options, status.qos2Unreleased + count)
    const sent = sendGroup(send, handovers, { clock: clock(), connected })
    return record(count, await sent.catch(refusedByError))
  }
  const queue = new CommitQueue(options.outbox, commit)
  const maintain = createMaintenanceSchedule(queue, options.onFailed, async task => {
    record(0, await send({ task, clock: clock() }))
  })
  const budget = createWriteBudget(options.outbox, options.onWriteBudgetChange)
  const tick = setInterval(() => {
    maintain({ isTick: true })
    queue.windowMs = budget.recordSample(performance.now(), status.writtenBytes)
  }, TICK_MS)
  const ask = async (request: WriterRequest): Promise<WriterResponse> => {
    const response = await queue.runTask(() => send(request))
    const reason = record(0, response)
    if (reason !== null) throw new RefusedError(reason)
    if ('status' in response) status = response.status
    return response
  }

  return {
    /**
     * The store's id in hex, the gateway's id in every event, and the epoch; `recovery` reports
     * what was recovered when the outbox was opened, and is null for an undamaged outbox.
     */
    ...{ store, gateway, epoch, recovery },
    /** The outbox after the last commit or tick. */
    get status() {
      return status
    },
    /** The disk writes of the outbox, as of the last tick. */
    wear: () => budget.wear,
    /** How long the writer thread has been silent, in ms; null while it answers in time. */
    silentMs: () => channel.silentMs,
    /**
     * Why the last commit was refused, or why the next commit would be refused; null while messages
     * are accepted.
     */
    get refusalReason() {
      return refusal?.reason ?? status.space.refuses
    },
    /** Deletes delivered events beyond `outbox.keep`, in steps between commits. */
    prune: () => maintain({ isPruning: true }),
    accept: ((handover, sender) => queue.add(handover, sender)) as AcceptHandover,
    ...createOperatorRequests(ask),
    /** Commits all queued messages, writes the last heartbeat and closes the outbox. */
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(tick)
      await queue.close()
      await send('close')
      await channel.close()
    },
  }
}

/** Packs the handovers of a group and sends them to the writer thread. */
async function sendGroup(
  send: (request: WriterRequest, transfer: ArrayBuffer[]) => Promise<WriterResponse>,
  handovers: Handover[],
  conditions: { clock: ClockState; connected: string[] },
): Promise<WriterResponse> {
  const packed = packHandovers(handovers)
  return send({ packed, count: handovers.length, ...conditions }, [packed])
}

/** The response to a group that could not be given to the writer thread. */
function refusedByError({ message }: Error): WriterResponse {
  const reason = `a group cannot be given to the writer thread: ${message}`
  return { kind: 'refused', reason, isFull: false, mustReopen: false }
}

/** The bounds of unreleased QoS 2 messages, as configured. */
export function unreleasedBounds(
  limits: Pick<Config['gateway']['mqtt'], 'qos2InFlightMax' | 'qos2EntriesMax' | 'qos2KeepMs'>,
): WriterData['unreleasedBounds'] {
  const { qos2InFlightMax, qos2EntriesMax, qos2KeepMs } = limits
  return { perClientMax: qos2InFlightMax, totalMax: qos2EntriesMax, keepMs: qos2KeepMs }
}

/**
 * The requests of an operator, which run between two commits. They reject with RefusedError when
 * the outbox refuses the request or too many requests wait.
 */
function createOperatorRequests(ask: (request: WriterRequest) => Promise<WriterResponse>) {
  return {
    /**
     * Retries or drops dead letters. Repeating the same request is safe: dead letters that were
     * resolved are reported as unchanged, with the reason.
     */
    async resolveDeadLetters(deadLetters: DeadLetterRequest): Promise<DeadLetterOutcome[]> {
      const response = await ask({ deadLetters })
      if (response.kind === 'resolved') return response.outcomes
      throw new RefusedError(unexpectedText('deadLetters', response))
    },
    /** Forgets unreleased QoS 2 messages; resolves with their number. */
    async forgetUnreleased(unreleased: UnreleasedRequest): Promise<number> {
      const response = await ask({ unreleased })
      if (response.kind === 'forgotten') return response.count
      throw new RefusedError(unexpectedText('unreleased', response))
    },
  }
}

/** The ids of the connected clients, when QoS 2 messages may have to be forgotten; else none. */
function connectedNearBound(
  { connectedClients, unreleasedBounds }: Omit<WriterOptions, 'clock'>,
  unreleasedMax: number,
): string[] {
  return unreleasedMax > unreleasedBounds.totalMax ? (connectedClients?.() ?? []) : []
}

/** Reports the QoS 2 messages that were forgotten between two states of the outbox. */
function reportForgotten(
  { onQos2Forgotten }: Pick<WriterOptions, 'onQos2Forgotten'>,
  { qos2Forgotten: before }: OutboxStatus,
  { qos2Forgotten: after }: OutboxStatus,
): void {
  for (const bound of ['perClientMax', 'totalMax'] as const) {
    const count = after[bound] - before[bound]
    if (count > 0) onQos2Forgotten?.(bound, count)
  }
}

/** The options that the writer thread gets; functions cannot be sent to a thread. */
function workerDataOf(options: WriterData): WriterData {
  const { gateway, ingest, outbox, inboxFile, unreleasedBounds, readAheadMaxEvents } = options
  const more = readAheadMaxEvents === undefined ? {} : { readAheadMaxEvents }
  return { gateway, ingest, outbox, inboxFile, unreleasedBounds, ...more }
}

const noop = () => {}
const IDLE: MaintenanceTask = { isTick: false, isPruning: false }

/**
 * Returns a function that requests maintenance. Requests are merged into one task until the queue
 * runs the task between two commits. `onFailed` is called when a task rejects.
 */
function createMaintenanceSchedule(
  queue: CommitQueue,
  onFailed: WriterOptions['onFailed'],
  run: (task: MaintenanceTask) => Promise<void>,
) {
  let pending = IDLE
  return (task: Partial<MaintenanceTask> = {}): void => {
    pending = { ...pending, ...task }
    queue.runBetweenCommits(() => {
      const merged = pending
      pending = IDLE
      return run(merged).catch(error => onFailed(`maintenance failed: ${error.message}`))
    })
  }
}
