import { describe, expect, it } from 'vitest'
import { NoSuchTopic } from '../../../cloud-bridge/kafka/client.ts'
import { createBatchBoundary } from '../../../cloud-bridge/partitions/batch-boundary.ts'
import {
  createMovePartitionsCommand,
  createShowPartitionsCommand,
} from '../../../cloud-bridge/partitions/partitions-command.ts'
import { partitionMismatch } from '../../../cloud-bridge/partitions/zone-spread.ts'
import { defaults } from '../../../config/config.ts'
import { commit, limits, openStores } from '../../gateway/store/source/source-fixture.ts'

const topics = { ...defaults.kafka.topics, readings: 'readings', backfill: 'backfill' }

/** The commands of a bridge with three partitions: one event is delivered, two wait. */
function openWorkspace() {
  const place = openStores()
  const outbox = place.openOutbox()
  const { source } = place
  const counts: Record<string, number | Error> = { readings: 12, backfill: 12 }
  const state = { waitReason: null as string | null }
  const batchBoundary = createBatchBoundary(() => {})
  const options = {
    kafka: { brokers: ['k:9092'], topics },
    ...{ source, batchBoundary, waitReason: () => state.waitReason, changeWithinMs: 50 },
    async partitionsOf(topic: string) {
      const count = counts[topic]!
      if (count instanceof Error) throw count
      return count
    },
  }
  const deliverFirst = () => {
    commit(outbox, 1)
    source.refresh()
    source.ensureLiveRange('readings', 3)
    source.advance(source.readBatch(limits)!)
    commit(outbox, 2, 3)
  }
  const move = createMovePartitionsCommand(options)
  return {
    ...{ source, counts, state, deliverFirst, show: createShowPartitionsCommand(options) },
    /** Sends the command; the delivery reaches a batch boundary a moment later. */
    async move(to: unknown) {
      const answer = move({ to })
      answer.catch(() => {})
      await new Promise(resolve => setTimeout(resolve, 1))
      batchBoundary.reached()
      return answer
    },
    moveWithoutBoundary: (to: number) => move({ to }),
    reachBoundary: batchBoundary.reached,
    [Symbol.dispose]() {
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

describe('the command that changes the number of partitions', () => {
  it('spreads later events, durably, and answers from which sequence on', async () => {
    using at = openWorkspace()
    at.deliverFirst()
    const before = { partitions: 3, from: 2, to: 3 }
    expect(await at.move(12)).toEqual({ from: 3, to: 12, sequence: 4, before })
    const counts = { topic: 'readings', partitions: 12 }
    expect(await at.show({})).toEqual({
      spread: { partitions: 12, before },
      kafka: { readings: counts, backfill: { ...counts, topic: 'backfill' } },
    })
    at.source.advance(at.source.readBatch(limits)!)
    expect(await at.move(5)).toEqual({ from: 12, to: 5, sequence: 4, before: null })
  })

  it('is refused with a cure, and changes nothing', async () => {
    using at = openWorkspace()
    await expect(at.move(12)).rejects.toThrow('there is no outbox')
    at.source.refresh()
    await expect(at.move(12)).rejects.toThrow('not spread yet')
    at.deliverFirst()
    const ranges = JSON.stringify(at.source.ranges)
    for (const wrong of [0, 1.5, '12', undefined, 100_001]) {
      await expect(at.move(wrong)).rejects.toThrow('must be a number of partitions')
    }
    await expect(at.move(3)).rejects.toThrow('over 3 partitions already')
    at.counts.backfill = new NoSuchTopic('none')
    await expect(at.move(12)).rejects.toThrow(/backfill: Kafka has no such topic.*--create/)
    at.counts.backfill = 11
    await expect(at.move(12)).rejects.toThrow(/backfill has too few partitions, 11.*--alter/)
    at.counts.readings = new Error('no broker')
    await expect(at.move(12)).rejects.toThrow(
      /Kafka does not report its partition counts: no broker/,
    )
    expect(await at.show({})).toMatchObject({ kafka: 'no broker' })
    at.state.waitReason = 'no leader'
    await expect(at.move(12)).rejects.toThrow(/events wait.*: no leader/)
    expect(JSON.stringify(at.source.ranges)).toBe(ranges)
  })

  it('is refused while older events are on their way, and does not wait for them', async () => {
    using at = openWorkspace()
    at.deliverFirst()
    const { plan } = at.source
    plan.isolate(at.source.readBatch(limits)!, [2])
    await expect(at.move(12)).rejects.toThrow('partition 2 is isolated')
    plan.deferIsolated(plan.isolated[0]!, 'backfill')
    await expect(at.move(12)).rejects.toThrow(/the backlog #2 to #\d+ still goes to backfill: wait/)
    at.source.backfill.advance(at.source.backfill.readBatch(limits)!)
    await at.move(12)
  })

  it('is withdrawn when no batch boundary is reached in time', async () => {
    using at = openWorkspace()
    at.deliverFirst()
    await expect(at.moveWithoutBoundary(12)).rejects.toThrow(
      /nothing was changed, because no batch/,
    )
    at.reachBoundary()
    expect(at.source.ranges).toMatchObject([{ partitions: 3 }])
  })

  it('may run twice at once: the second is refused because of the first', async () => {
    using at = openWorkspace()
    at.deliverFirst()
    const both = [at.moveWithoutBoundary(12), at.moveWithoutBoundary(7)]
    for (const answer of both) answer.catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 1))
    at.reachBoundary()
    await both[0]
    await expect(both[1]).rejects.toThrow(/since the last move to 12/)
  })
})

it('warns when the configured number is not the number in force', async () => {
  using at = openWorkspace()
  expect(partitionMismatch(3, at.source.ranges)).toEqual([])
  at.deliverFirst()
  expect(partitionMismatch(null, at.source.ranges)).toEqual([])
  expect(partitionMismatch(3, at.source.ranges)).toEqual([])
  expect(partitionMismatch(6, at.source.ranges)[0]).toContain('./sluice partitions move --to 6')
})
