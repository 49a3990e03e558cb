import type { DiskWear } from '../../config/process/status.ts'
import type { CommitCounts } from './commit.ts'
import {
  type CommitWindowLimits,
  DAY_MS,
  isBudgetExceeded,
  nextCommitWindowMs,
  type RecentWrites,
} from './commit-window.ts'

/** Long enough for a look at what can be let go, and for some heartbeats. */
const WHILE_MS = 60_000
/** Less than this tells nothing yet. */
const KNOWN_MS = 10_000

/** Amounts since the start, at a moment, and the window that held until then. */
type Sample = {
  atMs: number
  writtenBytes: number
  commits: number
  readings: number
  windowMs: number
}

/**
 * Keeps the write budget: looks once a second at what was written, and gives the commit window.
 * `onChange` is told when the widest window does not keep it, and with null when it is kept again.
 */
export function createWriteBudget(
  limits: CommitWindowLimits,
  onChange: (beyondBudget: string | null) => void = () => {},
) {
  let [commits, readings] = [0, 0]
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
    recordCommit({ stored, buried }: Pick<CommitCounts, 'stored' | 'buried'>): void {
      commits++
      readings += stored + buried
    },
    /** To be called once a second; gives the window to hold from now on, in ms. */
    recordSample(atMs: number, writtenBytes: number): number {
      samples = samples.filter(sample => atMs - sample.atMs <= WHILE_MS)
      samples.push({ atMs, writtenBytes, commits, readings, windowMs: wear.commitWindowMs })
      const written = writtenIn(samples)
      if (written.elapsedMs < KNOWN_MS) {
        wear = { ...wear, writtenBytes }
        return wear.commitWindowMs
      }
      const messages = readings - samples[0]!.readings
      const was = wear.beyondBudget !== null
      const is = isBudgetExceeded(written, limits, was)
      wear = {
        writtenBytes,
        perDayBytes: (written.bytes / written.elapsedMs) * DAY_MS,
        perReadingBytes: messages === 0 ? null : written.bytes / messages,
        commitWindowMs: nextCommitWindowMs(wear.commitWindowMs, written, limits),
        beyondBudget: is ? reasonOf(limits) : null,
      }
      if (is !== was) onChange(wear.beyondBudget)
      return wear.commitWindowMs
    },
  }
}

/** The mean window is that of a commit, not of a moment, as the time between two of them is. */
function writtenIn(samples: Sample[]): RecentWrites {
  const [first, last] = [samples[0]!, samples.at(-1)!]
  const commits = last.commits - first.commits
  const waitedMs = samples.reduce((sum, { commits, windowMs }, at) => {
    return at === 0 ? 0 : sum + (commits - samples[at - 1]!.commits) * windowMs
  }, 0)
  return {
    elapsedMs: last.atMs - first.atMs,
    bytes: last.writtenBytes - first.writtenBytes,
    commits,
    windowMs: commits === 0 ? last.windowMs : waitedMs / commits,
  }
}

const reasonOf = ({ writeBudgetBytesPerDay, commitWindowMaxMs }: CommitWindowLimits) =>
  `more is written to disk than outbox.writeBudgetBytesPerDay = ${writeBudgetBytesPerDay} allows, ` +
  `although commits wait outbox.commitWindowMaxMs = ${commitWindowMaxMs}: ` +
  'raise one of the two, or have devices send less'
