import { describe, expect, it } from 'vitest'
import { NoSuchTopic } from '../../../cloud-bridge/kafka/client.ts'
import { createBatchBoundary } from '../../../cloud-bridge/partitions/between-batches.ts'
import {
  createMovePartitionsCommand,
  createShowPartitionsCommand,
} from '../../../cloud-bridge/partitions/command.ts'
import { partitionMismatch } from '../../../cloud-bridge/partitions/zone-spread.ts'
import { defaults } from '../../../config/config.ts'
import { commit, limits, startPlace } from '../../gateway/store/source/source-fixture.ts'

const topics = { ...defaults.kafka.topics, readings: 'readings', backfill: 'backfill' }

/** An outbox of which one event is delivered and two wait, over three partitions; who asks. */
function startAsking() {
  const place = startPlace()
  const outbox = place.openOutbox()
  const { source } = place
  const counts: Record<string, number | Error> = { readings: 12, backfill: 12 }
  const state = { away: null as string | null }
  const batchBoundary = createBatchBoundary(() => {})
  const options = {
    kafka: { brokers: ['k:9092'], topics },
    ...{ source, batchBoundary, waitReason: () => state.away, decideWithinMs: 50 },
    async partitionsOf(topic: string) {
      const count = counts[topic]!
      if (count instanceof Error) throw count
      return count
    },
  }
  const begin = () => {
    commit(outbox, 1)
    source.refresh()
    source.ensureLiveRange('readings', 3)
    source.advance(source.readBatch(limits)!)
    commit(outbox, 2, 3)
  }
  const move = createMovePartitionsCommand(options)
  return {
    ...{ source, counts, state, begin, show: createShowPartitionsCommand(options) },
    /** Asks; the carrier comes by a moment later. */
    async move(to: unknown) {
      const asked = move({ to })
      asked.catch(() => {})
      await new Promise(resolve => setTimeout(resolve, 1))
      batchBoundary.perform()
      return asked
    },
    stuck: (to: number) => move({ to }),
    perform: batchBoundary.perform,
    [Symbol.dispose]() {
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

describe('asking for another number of partitions', () => {
  it('spreads what comes next, durably, and says from where on', async () => {
    using at = startAsking()
    at.begin()
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

  it('is refused with the cure, and changes nothing', async () => {
    using at = startAsking()
    await expect(at.move(12)).rejects.toThrow('there is no outbox')
    at.source.refresh()
    await expect(at.move(12)).rejects.toThrow('not spread yet')
    at.begin()
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
    await expect(at.move(12)).rejects.toThrow(/Kafka does not say .*: no broker/)
    expect(await at.show({})).toMatchObject({ kafka: 'no broker' })
    at.state.away = 'no leader'
    await expect(at.move(12)).rejects.toThrow(/events wait.*: no leader/)
    expect(JSON.stringify(at.source.ranges)).toBe(ranges)
  })

  it('waits for nothing that is under way: it is refused until that is delivered', async () => {
    using at = startAsking()
    at.begin()
    const { plan } = at.source
    plan.isolate(at.source.readBatch(limits)!, [2])
    await expect(at.move(12)).rejects.toThrow('partition 2 is carried apart')
    plan.deferIsolated(plan.isolated[0]!, 'backfill')
    await expect(at.move(12)).rejects.toThrow(/the backlog #2 to #\d+ still goes to backfill: wait/)
    at.source.backfill.advance(at.source.backfill.readBatch(limits)!)
    await at.move(12)
  })

  it('is taken back when no batch is settled in time', async () => {
    using at = startAsking()
    at.begin()
    await expect(at.stuck(12)).rejects.toThrow(/nothing was changed, because no batch/)
    at.perform()
    expect(at.source.ranges).toMatchObject([{ partitions: 3 }])
  })

  it('may be decided by two at once: the second hears of the first', async () => {
    using at = startAsking()
    at.begin()
    const both = [at.stuck(12), at.stuck(7)]
    for (const one of both) one.catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 1))
    at.perform()
    await both[0]
    await expect(both[1]).rejects.toThrow(/since the last move to 12/)
  })
})

it('says when another number is configured than is in force', async () => {
  using at = startAsking()
  expect(partitionMismatch(3, at.source.ranges)).toEqual([])
  at.begin()
  expect(partitionMismatch(null, at.source.ranges)).toEqual([])
  expect(partitionMismatch(3, at.source.ranges)).toEqual([])
  expect(partitionMismatch(6, at.source.ranges)[0]).toContain('./sluice partitions move --to 6')
})
