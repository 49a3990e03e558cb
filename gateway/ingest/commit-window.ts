import type { Config } from '../../config/config.ts'

export type CommitWindowLimits = Pick<
  Config['outbox'],
  'commitWindowMs' | 'commitWindowMaxMs' | 'writeBudgetBytesPerDay'
>

/**
 * The disk writes of the last `elapsedMs` (about a minute): bytes, commits, and the mean commit
 * window.
 */
export type RecentWrites = { elapsedMs: number; bytes: number; commits: number; windowMs: number }

export const DAY_MS = 86_400_000
/**
 * The target is a little below the budget, because a file system also writes its own metadata,
 * which is not measured.
 */
const TARGET_SHARE = 0.95
/** The share of the distance to its target that a commit window moves in one step. */
const STEP_SHARE = 0.1
/**
 * A mean commit window of at least this share of `commitWindowMaxMs` counts as the widest window.
 */
const WIDEST_SHARE = 0.99

/**
 * The commit window for the next second, in ms. The time between two commits should be long enough
 * for the budget to allow the bytes of one commit. The commit window is the part of that time that
 * the gateway can choose. More bytes never make the window shorter, and a larger budget never makes
 * it longer. Each call moves the window a tenth of the way to its target. Without a budget the
 * window is `commitWindowMs`.
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
 * Whether the write budget is exceeded although the commit window was the widest during the recent
 * writes. A budget that was exceeded (`wasExceeded`) counts as exceeded until the writes fall to
 * TARGET_SHARE of the budget.
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
