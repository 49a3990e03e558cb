import type { Config } from '../../config/config.ts'
import type { Handover } from '../mqtt/broker.ts'

/** Not stored, so not to be acknowledged; the device sends it again. */
export class RefusedError extends Error {}

type Waiting = {
  handover: Handover
  /** Whoever sent it: after one refusal everything later from the same sender is refused too. */
  sender: object
  since: number
  resolve(): void
  reject(error: Error): void
}

export type CommitQueueLimits = Pick<
  Config['outbox'],
  'commitWindowMs' | 'commitAtEvents' | 'groupMaxEvents' | 'groupMaxBytes'
>

const ERRANDS_MAX = 8

/**
 * The one first-in-first-out queue between broker and disk. `commit` is called with one group at a
 * time: when the one before is done and either the oldest waiting message is as old as the window,
 * at first `commitWindowMs`, or `commitAtEvents` or `groupMaxBytes` wait. It resolves with null, or
 * the reason of a refusal; it never rejects. Promises settle in the order of arrival.
 */
export class CommitQueue {
  readonly #limits: CommitQueueLimits
  readonly #commit: (group: Handover[]) => Promise<string | null>
  readonly #refusedSenders = new WeakSet<object>()
  #hasRefused = false
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #interlude: (() => Promise<unknown>) | null = null
  #isCommitsTurn = false
  readonly #errands: (() => Promise<unknown>)[] = []
  #busy: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  #closing = false
  #windowMs: number

  constructor(limits: CommitQueueLimits, commit: (group: Handover[]) => Promise<string | null>) {
    this.#limits = limits
    this.#windowMs = limits.commitWindowMs
    this.#commit = commit
  }

  /** Queues a handover; resolves when it is durable, rejects with Refused when it is not kept. */
  add(handover: Handover, sender: object): Promise<void> {
    if (this.#closing) return Promise.reject(new RefusedError('the gateway is stopping'))
    if (this.#hasRefused && this.#refusedSenders.has(sender)) {
      return Promise.reject(new RefusedError('an earlier message of this connection was refused'))
    }
    return new Promise((resolve, reject) => {
      const one = { handover, sender, since: performance.now(), resolve, reject }
      this.#waiting.push(one)
      this.#waitingBytes += bytesOf(one)
      this.#consider()
    })
  }

  /**
   * How long messages are gathered from now on, what waits already included. While this is more
   * than `commitWindowMs`, `commitAtEvents` grows in the same measure, up to `groupMaxEvents`:
   * else the number of commits would follow the traffic whatever the window says.
   */
  set windowMs(windowMs: number) {
    if (windowMs === this.#windowMs) return
    this.#windowMs = windowMs
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#consider()
  }

  /**
   * Runs `work` between two commits; a second one before the first has run replaces it. However
   * much of it there is, every other turn belongs to a commit that is due. None when closing.
   */
  runBetweenCommits(work: () => Promise<unknown>): void {
    if (this.#closing) return
    this.#interlude = work
    this.#consider()
  }

  /**
   * Runs `work` between two commits, each in its turn, and gives its result. Rejects with Refused
   * when it is too late, or when too many wait already.
   */
  runTask<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing) return Promise.reject(new RefusedError('the gateway is stopping'))
    if (this.#errands.length >= ERRANDS_MAX)
      return Promise.reject(new RefusedError('too much is asked'))
    return new Promise((resolve, reject) => {
      this.#errands.push(() => work().then(resolve, reject))
      this.#consider()
    })
  }

  /** Commits what waits and takes nothing more. */
  async close(): Promise<void> {
    this.#closing = true
    this.#consider()
    while (this.#busy) await this.#busy
  }

  #consider(): void {
    if (this.#busy) return
    const restMs = this.#restMs()
    const work = this.#errands[0] ?? this.#interlude
    if (work && !(this.#isCommitsTurn && restMs <= 0)) this.#busy = this.#run(work)
    else if (restMs <= 0) this.#busy = this.#commitGroup()
    else if (restMs < Number.POSITIVE_INFINITY) {
      this.#timer ??= setTimeout(() => this.#windowIsOver(), Math.max(1, restMs))
    }
  }

  /** How long until what waits is to be committed. */
  #restMs(): number {
    if (this.#waiting.length === 0) return Number.POSITIVE_INFINITY
    if (this.#isFull()) return 0
    return this.#windowMs - (performance.now() - this.#waiting[0]!.since)
  }

  #isFull(): boolean {
    const { groupMaxBytes } = this.#limits
    const full = this.#waiting.length >= this.#enough() || this.#waitingBytes >= groupMaxBytes
    return full || this.#closing
  }

  /** How many waiting messages do not wait for the window. */
  #enough(): number {
    const { commitWindowMs, commitAtEvents, groupMaxEvents } = this.#limits
    const widened = this.#windowMs / Math.max(1, commitWindowMs)
    if (widened <= 1) return commitAtEvents
    return Math.max(commitAtEvents, Math.min(groupMaxEvents, commitAtEvents * widened))
  }

  #windowIsOver(): void {
    this.#timer = undefined
    this.#consider()
  }

  async #run(work: () => Promise<unknown>): Promise<void> {
    if (work === this.#errands[0]) this.#errands.shift()
    else this.#interlude = null
    this.#isCommitsTurn = true
    // Only now is it known to be busy: work may ask for more work at once.
    await null
    await work()
    this.#busy = null
    this.#consider()
  }

  async #commitGroup(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isCommitsTurn = false
    const group = this.#take()
    const reason = await this.#commit(group.map(({ handover }) => handover))
    if (reason === null) for (const { resolve } of group) resolve()
    else this.#refuse(group, reason)
    this.#busy = null
    this.#consider()
  }

  #take(): Waiting[] {
    const { groupMaxEvents, groupMaxBytes } = this.#limits
    const most = Math.min(this.#waiting.length, groupMaxEvents)
    let [count, bytes] = [0, 0]
    while (count < most && bytes < groupMaxBytes) bytes += bytesOf(this.#waiting[count++]!)
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  #refuse(group: Waiting[], reason: string): void {
    this.#hasRefused = true
    for (const { sender } of group) this.#refusedSenders.add(sender)
    const isRefused = ({ sender }: Waiting) => this.#refusedSenders.has(sender)
    const later = this.#waiting.filter(isRefused)
    this.#waiting = this.#waiting.filter(one => !isRefused(one))
    for (const one of later) this.#waitingBytes -= bytesOf(one)
    for (const { reject } of [...group, ...later]) reject(new RefusedError(reason))
  }
}

function bytesOf({ handover }: Waiting): number {
  return handover.kind === 'message' ? handover.payload.length + handover.topic.length : 16
}
