import type { Database } from 'better-sqlite3'

/** Where a range stands, and the epoch of what it passed last (null: it passed nothing yet). */
export type Standing = { next: number; epoch?: number | null }

/**
 * Tells where a range goes on: where it stands, or further back when groups of another epoch than
 * it last passed stand right before it. They are there when the outbox was restored from a copy and
 * its new epoch began before the bridge had made durable how far it had come.
 */
export function startRewind(db: Database) {
  const nearest = db
    .prepare('SELECT epoch FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT 1')
    .pluck()
  const behindPassed = db
    .prepare(
      `SELECT sequence + count FROM groups WHERE sequence < @next AND epoch = @epoch
       ORDER BY sequence DESC LIMIT 1`,
    )
    .pluck()
  const first = db
    .prepare('SELECT min(sequence) FROM groups WHERE sequence >= @behind AND sequence < @next')
    .pluck()
  return ({ next, epoch = null }: Standing): number => {
    if (epoch === null) return next
    const before = nearest.get(next)
    if (before === undefined || before === epoch) return next
    const behind = behindPassed.get({ next, epoch }) ?? 0
    return (first.get({ behind, next }) as number | null) ?? next
  }
}
