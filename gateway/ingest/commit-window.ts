import type { Config } from '../../config/config.ts'

export type CommitWindowLimits = Pick<
  Config['outbox'],
  'commitWindowMs' | 'commitWindowMaxMs' | 'writeBudgetBytesPerDay'
>

/** Disk writes of the last minute: bytes, commits, and the mean window of a commit. */
export type RecentWrites = { elapsedMs: number; bytes: number; commits: number; windowMs: number }

export const DAY_MS = 86_400_000
/** The target lies a little below the budget, because a file system writes metadata of its own. */
const TARGET_SHARE = 0.95
/** How much of the way to its target a window goes in one step. */
const STEP_SHARE = 0.1
/** A mean window of this share of `commitWindowMaxMs` counts as the widest. */
const WIDEST_SHARE = 0.99

/**
 * The commit window for the next second, in ms. The time between two commits should be long enough
 * for the budget to cover the bytes of one commit; of that time only the window can be chosen. More
 * bytes never make the window narrower, a larger budget never makes it wider, and each call moves
 * the window a tenth of the way. Without a budget the window is `commitWindowMs`.
 */
export function nextCommitWindowMs(
  windowMs: number,
  recent: RecentWrites,
  limits: CommitWindowLimits,
): number {
  const { commitWindowMs, commitWindowMaxMs, writeBudgetBytesPerDay } = limits
  if (writeBudgetBytesPerDay === null) return commitWindowMs
  const target = targetMs(recent, writeBudgetBytesPerDay)
  const clamped = clamp(target, commitWindowMs, commitWindowMaxMs)
  return clamp(windowMs + (clamped - windowMs) * STEP_SHARE, commitWindowMs, commitWindowMaxMs)
}

function targetMs({ elapsedMs, bytes, commits, windowMs }: RecentWrites, budget: number): number {
  if (commits === 0) return 0
  const coveredMs = (bytes * DAY_MS) / (budget * TARGET_SHARE)
  return windowMs + (coveredMs - elapsedMs) / commits
}

/**
 * Whether the budget is exceeded although the window was the widest during the whole sample. Once
 * exceeded (`wasExceeded`), the budget stays so until clearly less is written.
 */
export function isBudgetExceeded(
  recent: RecentWrites,
  limits: CommitWindowLimits,
  wasExceeded: boolean,
): boolean {
  const { commitWindowMaxMs, writeBudgetBytesPerDay } = limits
  if (writeBudgetBytesPerDay === null || recent.elapsedMs === 0) return false
  const bytesPerDay = (recent.bytes / recent.elapsedMs) * DAY_MS
  if (wasExceeded) return bytesPerDay > writeBudgetBytesPerDay * TARGET_SHARE
  const isWidest = recent.windowMs >= commitWindowMaxMs * WIDEST_SHARE
  return isWidest && bytesPerDay > writeBudgetBytesPerDay
}

const clamp = (value: number, min: number, max: number) => Math.min(max, Math.max(min, value))
