import {
  type InboxState,
  openInboxReader,
} from '../../../../gateway/store/delivery/inbox-reader.ts'
import type { Outbox } from '../../../../gateway/store/outbox.ts'
import { createRetention } from '../../../../gateway/store/retention/retention.ts'
import type { Mark } from '../recording/marks.ts'
import { inboxPath, outboxPath, type Workload } from './workload.ts'

type Settings = Parameters<typeof createRetention>[1]

const EVERYTHING = 1e12
const unbounded = {
  ...{ bytes: EVERYTHING, events: null, hours: null },
  ...{ deadLetterBytes: EVERYTHING, freeDiskBytes: 0 },
}
/** So much of what is stored may stay when the oldest is dropped. */
const KEPT_SHARE = 0.6

/** The retention lets go all that is delivered, and gives its room back. */
export function prune(work: Workload): void {
  work.enter('prune')
  const delivered = whatInboxSays(work)
  const { next } = delivered.pendingRanges![0]!
  work.mark({ lettingGo: { readings: next - 1, notesBefore: delivered.nextNote } })
  letGo(work, delivered, { keep: { hours: 0, bytes: 0 } })
  // The retention waits until a megabyte is free; these stores never have as much.
  while (work.outbox.space.vacuum());
  if (work.random() < 0.7) work.outbox.space.truncateWal()
  if (work.sabotage === 'prune-first') work.save()
}

/** The retention drops what is oldest, delivered or not, because a bound is reached. */
export function dropOldest(work: Workload): void {
  work.enter('drop')
  const { outbox } = work
  const delivered = whatInboxSays(work)
  const { stored } = outbox.pruning
  const count = outbox.lastSequence - (stored.first() ?? 1) + 1
  const events = Math.max(1, Math.floor(count * KEPT_SHARE))
  work.mark({ lettingGo: { readings: outbox.lastSequence, notesBefore: delivered.nextNote } })
  letGo(work, delivered, { bounds: { events }, whenFull: 'drop-oldest' })
}

/** What is safe to pass by, or (sabotaged) what the bridge knows and has not saved yet. */
function whatInboxSays({ dir, outbox, promised, sabotage }: Workload): InboxState {
  if (sabotage === 'prune-first') {
    const { next, nextNote } = promised.position.asked
    return { pendingRanges: [{ next, end: null }], replayFrom: null, nextNote }
  }
  const reader = openInboxReader(inboxPath(dir))
  const delivered = reader(outbox.store)
  reader.close()
  return delivered
}

type Policy = Partial<Pick<Settings, 'keep' | 'whenFull'>> & { bounds?: { events: number } }

/** Lets go what may go, as the gateway does, until there is nothing more. */
function letGo(work: Workload, delivered: InboxState, { bounds, ...policy }: Policy): void {
  const { outbox, dir, mark } = work
  const { stored } = outbox.pruning
  const [first, notes] = [stored.first() ?? 1, outbox.pruning.countNotesBefore(delivered.nextNote)]
  const retention = createRetention(withoutBallast(work), {
    file: outboxPath(dir),
    keep: { hours: 10_000, bytes: EVERYTHING },
    bounds: { ...unbounded, ...bounds },
    lanes: {},
    whenFull: 'refuse',
    ...policy,
  })
  retention.update(delivered, 'SYNCED')
  retention.requestPruning()
  while (retention.step());
  const now = stored.first() ?? 1
  const next = delivered.pendingRanges?.[0]?.next ?? 1
  const dropped = Math.max(0, now - Math.max(first, next))
  const left = outbox.pruning.countNotesBefore(delivered.nextNote)
  mark({ gone: { pruned: now - first - dropped, dropped, notes: notes - left } } satisfies Mark)
}

/** The ballast would only make the recording long; what nobody names in a tombstone is lost. */
function withoutBallast({ outbox, sabotage }: Workload): Outbox {
  const { pruning } = outbox
  const silent = { ...pruning, drop: pruning.prune }
  return Object.create(outbox, {
    ballast: { value: { isPresent: true, write: () => true, free: () => false } },
    pruning: { value: sabotage === 'drop-silently' ? silent : pruning },
  })
}
