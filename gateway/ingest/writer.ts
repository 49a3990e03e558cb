import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { AcceptHandover, Handover } from '../mqtt/broker.ts'
import type { CommitCounts } from './commit.ts'
import { CommitQueue, RefusedError } from './commit-queue.ts'
import type { DeadLetterOutcome, DeadLetterRequest } from './dead-letter-retry.ts'
import { packHandovers } from './handover-codec.ts'
import { createWriteBudget } from './write-budget.ts'
import type { OutboxStatus, WriterData, WriterRequest, WriterResponse } from './writer-thread.ts'

/** How often the thread is asked for what waits, may write a heartbeat and looks at the bounds. */
const TICK_MS = 1000

export type WriterOptions = WriterData & {
  clock: () => ClockState
  onCommitted(tally: CommitCounts, commitMs: number): void
  /** While there is no room this is told once, not for each refusal. */
  onRefused(count: number, reason: string): void
  /** There is room again. */
  onSpaceAvailable?(): void
  /** More is written to disk than the budget allows, or (null) that is over. */
  onWriteBudgetChange?(beyondBudget: string | null): void
  /** The store must be opened again before it can be trusted: the process must end. */
  onFailed(reason: string): void
}

export type Writer = Awaited<ReturnType<typeof startWriter>>

/**
 * Starts the writer thread, which alone touches the outbox, and queues for it: one commit at a
 * time. Resolves when the outbox is open; rejects with CannotStart.
 */
export async function startWriter({ clock, ...options }: WriterOptions) {
  const { onCommitted, onRefused, onSpaceAvailable, onWriteBudgetChange, onFailed, ...workerData } =
    options
  const thread = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData })
  const { store, epoch, healed, ...opened } = await firstAnswer(thread).catch(async error => {
    await thread.terminate()
    throw error
  })
  let position: OutboxStatus = opened
  let refusing: { reason: string; full: boolean } | null = null

  const ask = (request: WriterRequest, transfer: ArrayBuffer[] = []) =>
    sendRequest(thread, request, transfer)
  const settle = (count: number, answer: WriterResponse): string | null => {
    if (answer.kind === 'refused') {
      if (!answer.full || !refusing?.full) onRefused(count, answer.reason)
      refusing = answer
      if (answer.full) tend()
      else onFailed(answer.reason)
      return answer.reason
    }
    if (answer.kind !== 'committed' && answer.kind !== 'tended') return null
    position = answer.position
    const hasRoom = refusing?.full && position.space.refuses === null
    if (hasRoom) onSpaceAvailable?.()
    if (hasRoom || (count > 0 && !refusing?.full)) refusing = null
    if (answer.kind === 'committed') {
      budget.recordCommit(answer.tally)
      onCommitted(answer.tally, answer.commitMs)
    } else if (answer.more) tend()
    return null
  }
  const commit = async (handovers: Handover[]): Promise<string | null> => {
    const packed = packHandovers(handovers)
    const request = { packed, count: handovers.length, clock: clock() }
    return settle(handovers.length, await ask(request, [packed]))
  }
  const queue = new CommitQueue(options.outbox, commit)
  const tend = startTending(queue, async due => {
    settle(0, await ask({ ...due, clock: clock() }))
  })
  const budget = createWriteBudget(options.outbox, onWriteBudgetChange)
  const tick = setInterval(() => {
    tend({ isTick: true })
    queue.windowMs = budget.recordSample(performance.now(), position.writtenBytes)
  }, TICK_MS)
  thread.on('error', error => onFailed(error.message))

  return {
    ...{ store, epoch },
    /** What had to be done to open the outbox, null for nothing. */
    healed,
    /** Where the outbox stood after the last commit or tick. */
    get position() {
      return position
    },
    /** What is written to disk, as of the last tick. */
    wear: () => budget.wear,
    /** Why the last commit failed, or the next would; null when all is well. */
    get refusing() {
      return refusing?.reason ?? position.space.refuses
    },
    /** Lets go, step by step between commits, what is delivered and beyond what is kept. */
    prune: () => tend({ isLook: true }),
    accept: ((handover, sender) => queue.add(handover, sender)) as AcceptHandover,
    /**
     * Retries or drops dead letters, between two commits. Rejects with Refused when the outbox
     * refuses or is busy with others; then asking again tells what was done.
     */
    async settleLetters(letters: DeadLetterRequest): Promise<DeadLetterOutcome[]> {
      const answer = await queue.runTask(() => ask({ letters }))
      if (answer.kind === 'settled') {
        position = answer.position
        return answer.outcomes
      }
      throw new RefusedError(settle(0, answer) ?? `the writer answered ${answer.kind}`)
    },
    /** Commits what waits, writes the last heartbeat and closes the outbox. */
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(tick)
      await queue.close()
      await ask('close')
      await thread.terminate()
    },
  }
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

/** Gathers what is due until its turn comes between two commits. */
function startTending(queue: CommitQueue, run: (due: Due) => Promise<void>) {
  const nothing: Due = { isTick: false, isLook: false }
  let due = nothing
  return (what: Partial<Due> = {}): void => {
    due = { ...due, ...what }
    queue.runBetweenCommits(() => {
      const now = due
      due = nothing
      return run(now)
    })
  }
}

type Due = { isTick: boolean; isLook: boolean }

async function firstAnswer(thread: Worker) {
  const [answer] = (await once(thread, 'message')) as [WriterResponse]
  if (answer.kind === 'cannot start') throw new CannotStart(answer.reason, answer)
  if (answer.kind !== 'opened') throw new Error(`the writer answered ${answer.kind}`)
  const { store, epoch, healed, position } = answer
  return { store, epoch, healed, ...position }
}
