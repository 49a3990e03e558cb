import type { Config } from '../../config/config.ts'
import type { Handover } from '../mqtt/broker.ts'

/** The message is not stored and must not be acknowledged; the device sends it again. */
export class RefusedError extends Error {}

type QueuedHandover = {
  handover: Handover
  /** The connection. After a refusal all later handovers of the same sender are refused too. */
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
/** What a release or a forget counts in a group, about. */
const SMALL_HANDOVER_BYTES = 16

/**
 * The only first-in-first-out queue between the broker and the disk. Calls `commit` with one group
 * at a time: when the previous commit is done, and either the oldest message has waited for the
 * commit window (`commitWindowMs` at first) or `commitAtEvents` messages or `groupMaxBytes` wait.
 * `commit` resolves with null, or with the reason of a refusal; it never rejects. Promises of `add`
 * are resolved and rejected in the order of the calls.
 */
export class CommitQueue {
  readonly #limits: CommitQueueLimits
  readonly #commit: (group: Handover[]) => Promise<string | null>
  readonly #refusedSenders = new WeakSet<object>()
  #hasRefused = false
  #queued: QueuedHandover[] = []
  #queuedBytes = 0
  /** Work that a later call replaces, and that runs when no task waits. */
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

  /** Queues a handover; resolves when it is durable, rejects with RefusedError when refused. */
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
   * Sets the commit window, also for messages that are queued already. While the window is longer
   * than `commitWindowMs`, `commitAtEvents` grows in proportion, up to `groupMaxEvents`: otherwise
   * the number of commits would follow the traffic whatever the window is.
   */
  set windowMs(windowMs: number) {
    if (windowMs === this.#windowMs) return
    this.#windowMs = windowMs
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#startNext()
  }

  /**
   * Runs `work` between two commits. A second call before the first has run replaces it. A commit
   * that is due runs after each work, however often this is called. Ignored while closing.
   */
  runBetweenCommits(work: () => Promise<unknown>): void {
    if (this.#isClosing) return
    this.#idleTask = work
    this.#startNext()
  }

  /**
   * Runs `work` between two commits, in the order of the calls, and gives its result. Rejects with
   * RefusedError while closing, or when `TASKS_MAX` tasks wait already.
   */
  runTask<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosing) return Promise.reject(new RefusedError('the gateway is stopping'))
    if (this.#tasks.length >= TASKS_MAX) {
      return Promise.reject(new RefusedError(`${TASKS_MAX} requests wait already: try again later`))
    }
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => work().then(resolve, reject))
      this.#startNext()
    })
  }

  /** Commits all queued messages and accepts no more. */
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

  /** How long until the next commit is due. */
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

  /** How many queued messages are committed without waiting for the window. */
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
    // #busy is set only after this await, and the work may queue more work at once.
    await null
    await work()
    this.#busy = null
    this.#startNext()
  }

  async #commitGroup(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isCommitNext = false
    const group = this.#removeGroup()
    const reason = await this.#commit(group.map(({ handover }) => handover))
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

function bytesOf({ handover }: QueuedHandover): number {
  if (handover.kind !== 'message') return SMALL_HANDOVER_BYTES
  return handover.payload.length + handover.topic.length
}
