import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Clock } from '../../config/events.ts'
import { CannotStart } from '../../config/lifetime.ts'
import type { Accept, Handover } from '../broker.ts'
import type { Tally } from './commit.ts'
import type { LetterOutcome, LettersRequest } from './letters.ts'
import { pack } from './packing.ts'
import { Queue, Refused } from './queue.ts'
import type { Answer, Position, Request, WriterData } from './writer-thread.ts'

/** How often the thread is asked for what waits, and may write a heartbeat. */
const TICK_MS = 1000

export type WriterOptions = WriterData & {
  clock: () => Clock
  onCommitted(tally: Tally, commitMs: number): void
  onRefused(count: number, reason: string): void
  /** The store must be opened again before it can be trusted: the process must end. */
  onFailed(reason: string): void
}

export type Writer = Awaited<ReturnType<typeof startWriter>>

/**
 * Starts the writer thread, which alone touches the outbox, and queues for it: one commit at a
 * time. Resolves when the outbox is open; rejects with CannotStart.
 */
export async function startWriter({ clock, ...options }: WriterOptions) {
  const { onCommitted, onRefused, onFailed, ...workerData } = options
  const thread = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData })
  const { store, epoch, ...opened } = await firstAnswer(thread).catch(async error => {
    await thread.terminate()
    throw error
  })
  let position: Position = opened
  let refusing: string | null = null

  const ask = async (request: Request, transfer: ArrayBuffer[] = []): Promise<Answer> => {
    const answered = once(thread, 'message')
    thread.postMessage(request, transfer)
    return (await answered)[0]
  }
  const settle = (count: number, answer: Answer): string | null => {
    if (answer.kind === 'refused') {
      refusing = answer.reason
      onRefused(count, answer.reason)
      if (!answer.full) onFailed(answer.reason)
      return answer.reason
    }
    if (answer.kind === 'committed') {
      position = answer.position
      if (count > 0) refusing = null
      if (count > 0) onCommitted(answer.tally, answer.commitMs)
    }
    return null
  }
  const commit = async (handovers: Handover[]): Promise<string | null> => {
    const packed = pack(handovers)
    const request = { packed, count: handovers.length, clock: clock() }
    return settle(handovers.length, await ask(request, [packed]))
  }
  const queue = new Queue(options.outbox, commit)
  const tick = setInterval(() => queue.between(async () => settle(0, await ask('tick'))), TICK_MS)
  thread.on('error', error => onFailed(error.message))

  return {
    store,
    epoch,
    /** Where the outbox stood after the last commit or tick. */
    get position() {
      return position
    },
    /** Why the last commit failed, or null when it did not. */
    get refusing() {
      return refusing
    },
    accept: ((handover, sender) => queue.add(handover, sender)) as Accept,
    /**
     * Retries or drops dead letters, between two commits. Rejects with Refused when the outbox
     * refuses or is busy with others; then asking again tells what was done.
     */
    async settleLetters(letters: LettersRequest): Promise<LetterOutcome[]> {
      const answer = await queue.run(() => ask({ letters }))
      if (answer.kind === 'settled') {
        position = answer.position
        return answer.outcomes
      }
      throw new Refused(settle(0, answer) ?? `the writer answered ${answer.kind}`)
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

async function firstAnswer(thread: Worker) {
  const [answer] = (await once(thread, 'message')) as [Answer]
  if (answer.kind === 'cannot start') throw new CannotStart(answer.reason)
  if (answer.kind !== 'opened') throw new Error(`the writer answered ${answer.kind}`)
  return { store: answer.store, epoch: answer.epoch, ...answer.position }
}
