import type { Config } from '../../config/config.ts'
import type { Handover } from '../mqtt/broker.ts'

/** The message is not stored and must not be acknowledged; the device sends it again. */
export class RefusedError extends Error {}

type QueuedHandover = {
  handover: Handover
  /**
   * The connection of the device. After a refusal, all later handovers of the same sender are
   * refused too.
   */
  sender: object
  queuedAtMs: number
  resolve(): void
  reject(error: Error): void
}

export type CommitQueueLimits = Pick<
  Config['outbox'],
  'commitWindowMs' | 'commitAtEvents' | 'groupMaxEvents' | 'groupMaxBytes'
>

const TASKS_MAX = 8
/**
 * The approximate size of a `release` or `forget` handover, which counts towards `groupMaxBytes`.
 */
const SMALL_HANDOVER_BYTES = 16

/**
 * The only first-in-first-out queue between the broker and the disk. Calls `commit` with the
 * handovers of one group commit at a time. A commit starts when the previous commit is done and one
 * of three conditions is true: the oldest handover has waited for the commit window
 * (`commitWindowMs` at first), `commitAtEvents` handovers wait, or handovers of `groupMaxBytes`
 * wait. `commit` resolves with null, or with the reason why all handovers of the commit are
 * refused; when `commit` rejects, they are refused, too. Promises of `add` are resolved and
 * rejected in the order of the calls.
 */
export class CommitQueue {
  readonly #limits: CommitQueueLimits
  readonly #commit: (group: Handover[]) => Promise<string | null>
  readonly #refusedSenders = new WeakSet<object>()
  #hasRefused = false
  #queued: QueuedHandover[] = []
  #queuedBytes = 0
  /** The work of the last `runBetweenCommits`; runs when no task waits. */
  #idleTask: (() => Promise<unknown>) | null = null
  #isCommitNext = false
  readonly #tasks: (() => Promise<unknown>)[] = []
  #busy: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  #isClosing = false
  #windowMs: number

  constructor(limits: CommitQueueLimits, commit: (group: Handover[]) => Promise<string | null>) {
    this.#limits = limits
    this.#windowMs = limits.commitWindowMs
    this.#commit = commit
  }

  /**
   * Queues a handover. Resolves when the handover is durable; rejects with RefusedError when it is
   * refused.
   */
  add(handover: Handover, sender: object): Promise<void> {
    if (this.#isClosing) return Promise.reject(new RefusedError('the gateway is stopping'))
    if (this.#hasRefused && this.#refusedSenders.has(sender)) {
      return Promise.reject(new RefusedError('an earlier message of this connection was refused'))
    }
    return new Promise((resolve, reject) => {
      const queued = { handover, sender, queuedAtMs: performance.now(), resolve, reject }
      this.#queued.push(queued)
      this.#queuedBytes += bytesOf(queued)
      this.#startNext()
    })
  }

  /**
   * Sets the commit window, also for handovers that are queued already. While the commit window is
   * longer than `commitWindowMs`, `commitAtEvents` grows in proportion, up to `groupMaxEvents`.
   * Otherwise a longer window would not save commits: at high traffic, `commitAtEvents` would still
   * start them.
   */
  set windowMs(windowMs: number) {
    if (windowMs === this.#windowMs) return
    this.#windowMs = windowMs
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#startNext()
  }

  /**
   * Runs `work` between two commits. When this is called again before `work` has run, only the
   * later `work` runs. A due commit runs after each `work`, so frequent calls do not delay commits.
   * Calls while the queue closes are ignored. `work` reports its own errors; when `work` rejects,
   * the queue continues.
   */
  runBetweenCommits(work: () => Promise<unknown>): void {
    if (this.#isClosing) return
    this.#idleTask = work
    this.#startNext()
  }

  /**
   * Runs `work` between two commits, in the order of the calls, and resolves with its result.
   * Rejects with RefusedError while the queue closes, or when `TASKS_MAX` tasks wait already.
   */
  runTask<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosing) return Promise.reject(new RefusedError('the gateway is stopping'))
    if (this.#tasks.length >= TASKS_MAX) {
      return Promise.reject(new RefusedError(`${TASKS_MAX} requests wait already: try again later`))
    }
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => {
        try {
          return work().then(resolve, reject)
        } catch (error) {
          reject(error)
          throw error
        }
      })
      this.#startNext()
    })
  }

  /** Refuses new handovers, and resolves when all queued handovers are committed. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#startNext()
    while (this.#busy) await this.#busy
  }

  #startNext(): void {
    if (this.#busy) return
    const restMs = this.#restMs()
    const work = this.#tasks[0] ?? this.#idleTask
    if (work && !(this.#isCommitNext && restMs <= 0)) this.#busy = this.#run(work)
    else if (restMs <= 0) this.#busy = this.#commitGroup()
    else if (restMs < Number.POSITIVE_INFINITY) {
      this.#timer ??= setTimeout(() => this.#onWindowEnd(), Math.max(1, restMs))
    }
  }

  /** The time until the next commit is due, in ms; infinite while nothing is queued. */
  #restMs(): number {
    if (this.#queued.length === 0) return Number.POSITIVE_INFINITY
    if (this.#isGroupReady()) return 0
    return this.#windowMs - (performance.now() - this.#queued[0]!.queuedAtMs)
  }

  #isGroupReady(): boolean {
    const { groupMaxBytes } = this.#limits
    const isFull = this.#queued.length >= this.#readyCount() || this.#queuedBytes >= groupMaxBytes
    return isFull || this.#isClosing
  }

  /** How many queued handovers start a commit before the commit window ends. */
  #readyCount(): number {
    const { commitWindowMs, commitAtEvents, groupMaxEvents } = this.#limits
    const widening = this.#windowMs / Math.max(1, commitWindowMs)
    if (widening <= 1) return commitAtEvents
    return Math.max(commitAtEvents, Math.min(groupMaxEvents, commitAtEvents * widening))
  }

  #onWindowEnd(): void {
    this.#timer = undefined
    this.#startNext()
  }

  async #run(work: () => Promise<unknown>): Promise<void> {
    if (work === this.#tasks[0]) this.#tasks.shift()
    else this.#idleTask = null
    this.#isCommitNext = true
    // The caller sets #busy after this function's first await. Without the await, `work` would run
    // before #busy is set, and a call inside `work` could start a second run.
    await null
    try {
      await work()
    } catch {
      // The owner of the work reports the error.
    }
    this.#busy = null
    this.#startNext()
  }

  async #commitGroup(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isCommitNext = false
    const group = this.#removeGroup()
    const reason = await this.#commit(group.map(({ handover }) => handover)).catch(messageOf)
    if (reason === null) for (const { resolve } of group) resolve()
    else this.#refuse(group, reason)
    this.#busy = null
    this.#startNext()
  }

  #removeGroup(): QueuedHandover[] {
    const { groupMaxEvents, groupMaxBytes } = this.#limits
    const maxCount = Math.min(this.#queued.length, groupMaxEvents)
    let [count, bytes] = [0, 0]
    while (count < maxCount && bytes < groupMaxBytes) bytes += bytesOf(this.#queued[count++]!)
    this.#queuedBytes -= bytes
    return this.#queued.splice(0, count)
  }

  #refuse(group: QueuedHandover[], reason: string): void {
    this.#hasRefused = true
    for (const { sender } of group) this.#refusedSenders.add(sender)
    const isRefused = ({ sender }: QueuedHandover) => this.#refusedSenders.has(sender)
    const later = this.#queued.filter(isRefused)
    this.#queued = this.#queued.filter(queued => !isRefused(queued))
    for (const queued of later) this.#queuedBytes -= bytesOf(queued)
    for (const { reject } of [...group, ...later]) reject(new RefusedError(reason))
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function bytesOf({ handover }: QueuedHandover): number {
  if (handover.kind !== 'message') return SMALL_HANDOVER_BYTES
  return handover.payload.length + handover.topic.length
}
