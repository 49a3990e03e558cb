import type { DiskWear } from '../../config/process/gateway-state.ts'
import type { CommitCounts } from './commit.ts'
import {
  type CommitWindowLimits,
  DAY_MS,
  isBudgetExceeded,
  nextCommitWindowMs,
  type RecentWrites,
} from './commit-window.ts'

/**
 * The period over which writes are measured, long enough for several pruning steps and heartbeats.
 */
const RECENT_MS = 60_000
/** A shorter period than this gives no usable rate of writes. */
const MIN_ELAPSED_MS = 10_000

/**
 * The totals since the start at one moment, and the commit window that applied until that moment.
 */
type Sample = {
  atMs: number
  writtenBytes: number
  commits: number
  messages: number
  windowMs: number
}

/**
 * Keeps disk writes within `outbox.writeBudgetBytesPerDay`: computes the commit window from the
 * bytes written in the last minute. Calls `onChange` with a sentence when the budget is exceeded
 * even with the widest window, and with null when the budget is no longer exceeded.
 */
export function createWriteBudget(
  limits: CommitWindowLimits,
  onChange: (beyondBudget: string | null) => void = () => {},
) {
  let [commits, messages] = [0, 0]
  let samples: Sample[] = []
  let wear: DiskWear = {
    writtenBytes: 0,
    perDayBytes: null,
    perReadingBytes: null,
    commitWindowMs: limits.commitWindowMs,
    beyondBudget: null,
  }
  return {
    get wear() {
      return wear
    },
    recordCommit({ stored, deadLettered }: Pick<CommitCounts, 'stored' | 'deadLettered'>): void {
      commits++
      messages += stored + deadLettered
    },
    /**
     * To be called once a second with the bytes written since the outbox was opened. Returns the
     * commit window from now on, in ms.
     */
    recordSample(atMs: number, writtenBytes: number): number {
      samples = samples.filter(sample => atMs - sample.atMs <= RECENT_MS)
      samples.push({ atMs, writtenBytes, commits, messages, windowMs: wear.commitWindowMs })
      const recent = recentWrites(samples)
      if (recent.elapsedMs < MIN_ELAPSED_MS) {
        wear = { ...wear, writtenBytes }
        return wear.commitWindowMs
      }
      const recentMessages = messages - samples[0]!.messages
      const wasExceeded = wear.beyondBudget !== null
      const isExceeded = isBudgetExceeded(recent, limits, wasExceeded)
      wear = {
        writtenBytes,
        perDayBytes: (recent.bytes / recent.elapsedMs) * DAY_MS,
        perReadingBytes: recentMessages === 0 ? null : recent.bytes / recentMessages,
        commitWindowMs: nextCommitWindowMs(wear.commitWindowMs, recent, limits),
        beyondBudget: isExceeded ? exceededText(limits) : null,
      }
      if (isExceeded !== wasExceeded) onChange(wear.beyondBudget)
      return wear.commitWindowMs
    },
  }
}

/**
 * Sums up the samples. The mean window is weighted by commits and not by time: `nextCommitWindowMs`
 * compares it with the mean time between two commits, which is weighted by commits too.
 */
function recentWrites(samples: Sample[]): RecentWrites {
  const [first, last] = [samples[0]!, samples.at(-1)!]
  const commits = last.commits - first.commits
  const windowsMs = samples.reduce((sum, { commits, windowMs }, index) => {
    return index === 0 ? 0 : sum + (commits - samples[index - 1]!.commits) * windowMs
  }, 0)
  return {
    elapsedMs: last.atMs - first.atMs,
    bytes: last.writtenBytes - first.writtenBytes,
    commits,
    windowMs: commits === 0 ? last.windowMs : windowsMs / commits,
  }
}

const exceededText = ({ writeBudgetBytesPerDay, commitWindowMaxMs }: CommitWindowLimits) =>
  `more is written to disk than outbox.writeBudgetBytesPerDay = ${writeBudgetBytesPerDay} allows, ` +
  `although commits wait outbox.commitWindowMaxMs = ${commitWindowMaxMs}: ` +
  'raise one of the two, or have devices send less'
