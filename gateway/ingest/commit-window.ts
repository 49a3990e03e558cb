import type { Config } from '../../config/config.ts'

export type CommitWindowLimits = Pick<
  Config['outbox'],
  'commitWindowMs' | 'commitWindowMaxMs' | 'writeBudgetBytesPerDay'
>

/** What was written in the last while: bytes and commits, and the mean window of a commit. */
export type RecentWrites = { elapsedMs: number; bytes: number; commits: number; windowMs: number }

export const DAY_MS = 86_400_000
/** The aim lies a little below the budget, because a file system writes something of its own. */
const AIM_SHARE = 0.95
/** How much of the way to its aim a window goes in one step. */
const STEP_SHARE = 0.1

/**
 * The window to hold for the next second, in ms: between two commits there should be so much time
 * that what one writes is paid for, and the window is all of it that we can choose. More bytes
 * never make it narrower, a larger budget never wider, and it moves a tenth of its way at a time.
 * Without a budget it is `commitWindowMs`.
 */
export function nextCommitWindowMs(
  nowMs: number,
  written: RecentWrites,
  limits: CommitWindowLimits,
): number {
  const { commitWindowMs, commitWindowMaxMs, writeBudgetBytesPerDay } = limits
  if (writeBudgetBytesPerDay === null) return commitWindowMs
  const aimMs = clamp(aimOf(written, writeBudgetBytesPerDay), commitWindowMs, commitWindowMaxMs)
  return clamp(nowMs + (aimMs - nowMs) * STEP_SHARE, commitWindowMs, commitWindowMaxMs)
}

function aimOf({ elapsedMs, bytes, commits, windowMs }: RecentWrites, budget: number): number {
  if (commits === 0) return 0
  const paidMs = (bytes * DAY_MS) / (budget * AIM_SHARE)
  return windowMs + (paidMs - elapsedMs) / commits
}

/**
 * Whether the budget is not kept although the window was as wide as it may be all the while. Once
 * it `was` so, it stays so until clearly less is written.
 */
export function isBudgetExceeded(
  written: RecentWrites,
  limits: CommitWindowLimits,
  was: boolean,
): boolean {
  const { commitWindowMaxMs, writeBudgetBytesPerDay } = limits
  if (writeBudgetBytesPerDay === null || written.elapsedMs === 0) return false
  const perDayBytes = (written.bytes / written.elapsedMs) * DAY_MS
  if (was) return perDayBytes > writeBudgetBytesPerDay * AIM_SHARE
  return written.windowMs >= commitWindowMaxMs * 0.99 && perDayBytes > writeBudgetBytesPerDay
}

const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value))
