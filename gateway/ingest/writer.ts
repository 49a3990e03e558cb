import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { AcceptHandover, Handover } from '../mqtt/broker.ts'
import type { CommitCounts } from './commit.ts'
import { CommitQueue, RefusedError } from './commit-queue.ts'
import type { DeadLetterOutcome, DeadLetterRequest } from './dead-letter-retry.ts'
import { packHandovers } from './handover-codec.ts'
import type { MaintenanceTask, OutboxStatus } from './maintenance.ts'
import { createWriteBudget } from './write-budget.ts'
import type { WriterData, WriterRequest, WriterResponse } from './writer-thread.ts'

/**
 * How often the writer thread measures the backlog, writes a due heartbeat and checks the bounds.
 */
const TICK_MS = 1000

export type WriterOptions = WriterData & {
  clock: () => ClockState
  onCommitted(counts: CommitCounts, commitMs: number): void
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
  const { onCommitted, onRefused, onSpaceAvailable, onWriteBudgetChange, onFailed, ...workerData } =
    options
  const thread = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData })
  const opened = await readOpened(thread).catch(async error => {
    await thread.terminate()
    throw error
  })
  let status: OutboxStatus = opened.status
  let refusal: { reason: string; isFull: boolean } | null = null

  const send = (request: WriterRequest, transfer: ArrayBuffer[] = []) =>
    sendRequest(thread, request, transfer)
  /**
   * Records the response to a commit of `count` handovers, or with `count` 0 the response to
   * another request. Returns the reason of a refusal, or null.
   */
  const record = (count: number, response: WriterResponse): string | null => {
    if (response.kind === 'refused') {
      if (!response.isFull || !refusal?.isFull) onRefused(count, response.reason)
      refusal = response
      if (response.isFull) maintain()
      else if (response.mustReopen) onFailed(response.reason)
      return response.reason
    }
    if (response.kind !== 'committed' && response.kind !== 'maintained') return null
    status = response.status
    const hasRoom = refusal?.isFull && status.space.refuses === null
    if (hasRoom) onSpaceAvailable?.()
    if (hasRoom || (count > 0 && !refusal?.isFull)) refusal = null
    if (response.kind === 'committed') {
      budget.recordCommit(response.counts)
      onCommitted(response.counts, response.commitMs)
    } else if (response.hasMore) maintain()
    return null
  }
  const commit = async (handovers: Handover[]): Promise<string | null> =>
    record(handovers.length, await sendGroup(send, handovers, clock()).catch(refusedByError))
  const queue = new CommitQueue(options.outbox, commit)
  const maintain = createMaintenanceSchedule(queue, onFailed, async task => {
    record(0, await send({ task, clock: clock() }))
  })
  const budget = createWriteBudget(options.outbox, onWriteBudgetChange)
  const tick = setInterval(() => {
    maintain({ isTick: true })
    queue.windowMs = budget.recordSample(performance.now(), status.writtenBytes)
  }, TICK_MS)
  thread.on('error', error => onFailed(error.message))

  return {
    store: opened.store,
    epoch: opened.epoch,
    /**
     * Reports what was recovered when the outbox was opened; null when the outbox was not damaged.
     */
    recovery: opened.recovery,
    /** The outbox after the last commit or tick. */
    get status() {
      return status
    },
    /** The disk writes of the outbox, as of the last tick. */
    wear: () => budget.wear,
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
    /**
     * Retries or drops dead letters between two commits. Rejects with RefusedError when the outbox
     * refuses the request or too many requests wait. Repeating the same request is safe: dead
     * letters that were resolved are reported as unchanged, with the reason.
     */
    async resolveDeadLetters(deadLetters: DeadLetterRequest): Promise<DeadLetterOutcome[]> {
      const response = await queue.runTask(() => send({ deadLetters }))
      if (response.kind === 'resolved') {
        status = response.status
        return response.outcomes
      }
      throw new RefusedError(record(0, response) ?? unexpectedText('deadLetters', response))
    },
    /** Commits all queued messages, writes the last heartbeat and closes the outbox. */
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(tick)
      await queue.close()
      await send('close')
      await thread.terminate()
    },
  }
}

/** Packs the handovers of a group and sends them to the writer thread. */
async function sendGroup(
  send: (request: WriterRequest, transfer: ArrayBuffer[]) => Promise<WriterResponse>,
  handovers: Handover[],
  clock: ClockState,
): Promise<WriterResponse> {
  const packed = packHandovers(handovers)
  return send({ packed, count: handovers.length, clock }, [packed])
}

/** The response to a group that could not be given to the writer thread. */
function refusedByError({ message }: Error): WriterResponse {
  const reason = `a group cannot be given to the writer thread: ${message}`
  return { kind: 'refused', reason, isFull: false, mustReopen: false }
}

async function sendRequest(
  thread: Worker,
  request: WriterRequest,
  transfer: ArrayBuffer[],
): Promise<WriterResponse> {
  const response = once(thread, 'message')
  thread.postMessage(request, transfer)
  return (await response)[0]
}

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

const unexpectedText = (request: string, { kind }: WriterResponse) =>
  `the writer thread answered "${kind}" to the request "${request}"`

async function readOpened(thread: Worker) {
  const [response] = (await once(thread, 'message')) as [WriterResponse]
  if (response.kind === 'cannot start') throw new CannotStart(response.reason, response)
  if (response.kind !== 'opened') throw new Error(unexpectedText('start', response))
  return response
}
