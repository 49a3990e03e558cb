import {
  type InboxState,
  openInboxReader,
} from '../../../../gateway/store/delivery/inbox-reader.ts'
import type { Outbox } from '../../../../gateway/store/outbox.ts'
import { createRetention } from '../../../../gateway/store/retention/retention.ts'
import type { Mark } from '../recording/marks.ts'
import { inboxPath, outboxPath, type Workload } from './workload.ts'

type Settings = Parameters<typeof createRetention>[1]

const UNLIMITED = 1e12
const unbounded = {
  ...{ bytes: UNLIMITED, events: null, hours: null },
  ...{ deadLetterBytes: UNLIMITED, freeDiskBytes: 0 },
}
/** The part of the stored events that stays when the oldest events are dropped. */
const KEPT_SHARE = 0.6

/** The retention prunes every delivered event and shortens the file. */
export function prune(work: Workload): void {
  work.enter('prune')
  const delivered = readDelivered(work)
  const { next } = delivered.pendingRanges![0]!
  work.mark({ deleting: { readings: next - 1, notesBefore: delivered.nextNote } })
  runRetention(work, delivered, { keep: { hours: 0, bytes: 0 } })
  // The retention vacuums only when a megabyte is free. These stores are smaller, so the step
  // vacuums by itself.
  while (work.outbox.space.vacuum());
  if (work.random() < 0.7) work.outbox.space.truncateWal()
  if (work.sabotage === 'prune-first') work.save()
}

/** The retention drops the oldest events, delivered or not, because a bound is reached. */
export function dropOldest(work: Workload): void {
  work.enter('drop')
  const { outbox } = work
  const delivered = readDelivered(work)
  const { stored } = outbox.pruning
  const count = outbox.lastSequence - (stored.first() ?? 1) + 1
  const events = Math.max(1, Math.floor(count * KEPT_SHARE))
  work.mark({ deleting: { readings: outbox.lastSequence, notesBefore: delivered.nextNote } })
  runRetention(work, delivered, { bounds: { events }, whenFull: 'drop-oldest' })
}

/**
 * The positions that the inbox has saved, or (with the sabotage) positions that the bridge has not
 * saved yet.
 */
function readDelivered({ dir, outbox, promises, sabotage }: Workload): InboxState {
  if (sabotage === 'prune-first') {
    const { next, nextNote } = promises.position.requested
    return { pendingRanges: [{ next, end: null }], replayFrom: null, nextNote }
  }
  const reader = openInboxReader(inboxPath(dir))
  const delivered = reader(outbox.store)
  reader.close()
  return delivered
}

type Policy = Partial<Pick<Settings, 'keep' | 'whenFull'>> & { bounds?: { events: number } }

/**
 * Runs the gateway's retention until nothing more may be deleted, and marks how much was deleted.
 */
function runRetention(work: Workload, delivered: InboxState, { bounds, ...policy }: Policy): void {
  const { outbox, dir, mark } = work
  const { stored } = outbox.pruning
  const firstBefore = stored.first() ?? 1
  const notesBefore = outbox.pruning.countNotesBefore(delivered.nextNote)
  const retention = createRetention(withoutBallast(work), {
    file: outboxPath(dir),
    keep: { hours: 10_000, bytes: UNLIMITED },
    bounds: { ...unbounded, ...bounds },
    lanes: {},
    whenFull: 'refuse',
    ...policy,
  })
  retention.update(delivered, 'SYNCED')
  retention.requestPruning()
  while (retention.step());
  const firstAfter = stored.first() ?? 1
  const next = delivered.pendingRanges?.[0]?.next ?? 1
  const dropped = Math.max(0, firstAfter - Math.max(firstBefore, next))
  const pruned = firstAfter - firstBefore - dropped
  const notes = notesBefore - outbox.pruning.countNotesBefore(delivered.nextNote)
  mark({ deleted: { pruned, dropped, notes } } satisfies Mark)
}

/**
 * The outbox without its ballast, because writes of the ballast would only make the recording long.
 * With the sabotage `drop-silently`, events are dropped without a tombstone.
 */
function withoutBallast({ outbox, sabotage }: Workload): Outbox {
  const { pruning } = outbox
  const silentPruning: Outbox['pruning'] = { ...pruning, drop: pruning.prune }
  const ballast: Outbox['ballast'] = {
    ...{ isPresent: true, fault: '', write: () => true, free: () => false },
  }
  return Object.create(outbox, {
    ballast: { value: ballast },
    pruning: { value: sabotage === 'drop-silently' ? silentPruning : pruning },
  })
}
