import { describe, expect, it } from 'vitest'
import { openInboxReader } from '../../../../gateway/store/delivery/inbox-reader.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { openRetention, type RetentionSettings } from './retention-fixture.ts'

const NOTHING_KEPT: RetentionSettings = { keep: { bytes: 0, hours: 0 } }

/**
 * Ten groups of one event. Six of them became a backlog, of which the bridge has delivered all but
 * the last event, and the newer events are delivered.
 */
function openBacklog(settings: RetentionSettings) {
  const at = openRetention(settings)
  const inboxFile = at.directory.file('inbox.db')
  const inbox = openInbox({ file: inboxFile, settleMs: 0 })
  const source = openEventSource({ outboxFile: at.file, inbox })
  source.refresh()
  at.fill(6)
  source.ensureLiveRange('readings', 1)
  source.plan.splitBacklog('backfill')
  at.fill(4)
  const one = { maxEvents: 1, maxBytes: 1 }
  for (let n = 0; n < 5; n++) source.backfill.advance(source.backfill.readBatch(one)!)
  for (let n = 0; n < 3; n++) source.advance(source.readBatch(one)!)
  inbox.flush()
  const stateOf = openInboxReader(inboxFile)
  return {
    ...{ at, source, inbox },
    /** Runs retention as the gateway does, with the positions that the inbox has. */
    retain(): void {
      inbox.flush()
      at.time.passedMs += 20_000
      at.retention.update({ ...stateOf(at.outbox.store), nextNote: 1 }, 'SYNCED')
      at.retention.requestPruning()
      at.steps()
    },
    [Symbol.dispose](): void {
      stateOf.close()
      source.close()
      inbox.close()
      at[Symbol.dispose]()
    },
  }
}

describe('the last event of a backlog, with next equal to end', () => {
  it('is not pruned before it is delivered, and is pruned afterwards', () => {
    using backlog = openBacklog(NOTHING_KEPT)
    const { at, source } = backlog
    expect(source.ranges.map(({ next, end }) => [next, end])).toContainEqual([6, 6])
    backlog.retain()
    expect(at.sequences()[0]).toBe(6)
    const batch = source.backfill.readBatch({ maxEvents: 1, maxBytes: 1 })!
    expect(batch.events.map(({ sequence }) => sequence)).toEqual([6])
    source.backfill.advance(batch)
    expect(source.ranges).toHaveLength(1)
    backlog.retain()
    expect(at.sequences()).toEqual([10])
  })

  it('is named in a tombstone when it is dropped', () => {
    using backlog = openBacklog({ whenFull: 'drop-oldest' })
    const { at, inbox, source } = backlog
    inbox.flush()
    const stateOf = openInboxReader(at.directory.file('inbox.db'))
    const { pendingRanges } = stateOf(at.outbox.store)
    stateOf.close()
    const groups = at.outbox.pruning.oldestGroups()
    at.outbox.pruning.drop(groups[7]!, pendingRanges, 'a bound')
    expect(at.tombstones()).toMatchObject([{ from: 6, to: 6, count: 1 }])
    expect(source.ranges).toHaveLength(2)
  })
})
