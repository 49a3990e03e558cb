import { describe, expect, it } from 'vitest'
import { runMember } from '../../../../cloud-bridge/consumers/runtime/member.ts'
import type {
  Consumer,
  PartitionWork,
} from '../../../../cloud-bridge/consumers/runtime/partition-work.ts'
import { type ConsumerState, Fenced } from '../../../../cloud-bridge/consumers/state/state.ts'
import {
  backfill,
  eventsOf,
  listedNumbers,
  live,
  openListing,
  recordsOf,
  temporaryStates,
} from './fixture.ts'
import { createMemoryGroup } from './memory-group.ts'

/** A member of a group in memory, and its reports. */
function startMember(consumer: Consumer) {
  const stopping = new AbortController()
  const { group, member } = createMemoryGroup()
  const rejoinReasons: string[] = []
  const outages: string[] = []
  const partitions: (readonly number[])[] = []
  const running = runMember({
    onUnavailable: reason => outages.push(reason),
    onDeleted: () => {},
    ...{ consumer, group, groupId: 'g', topics: [live, backfill], sessionMs: 1000 },
    signal: stopping.signal,
    onPartitions: assigned => partitions.push(assigned),
    onRejoin: reason => rejoinReasons.push(reason),
  })
  const stop = async () => {
    stopping.abort()
    await running
  }
  return { member, rejoinReasons, outages, partitions, running, stop }
}

const listingOn = (state: ConsumerState): Consumer => ({
  name: 'listing',
  open: async () => (await openListing(state)).work,
})

/** Work that waits in each call until it is released, and records its steps. */
function createSlowConsumer(steps: string[]) {
  const releases: (() => void)[] = []
  const consumer: Consumer = {
    name: 'slow',
    async open(partition) {
      steps.push(`open ${partition}`)
      return {
        nextOffsets: new Map([[live, 5]]),
        async processRecords(topic, _, signal) {
          steps.push(`start ${topic}`)
          const { promise, resolve } = Promise.withResolvers<void>()
          releases.push(resolve)
          await promise
          steps.push(`done ${topic}`)
          signal.throwIfAborted()
        },
        async [Symbol.asyncDispose]() {
          steps.push(`close ${partition}`)
        },
      } satisfies PartitionWork
    },
  }
  return { consumer, releases }
}
const nextTurn = () => new Promise(resolve => setImmediate(resolve))

describe('a member', () => {
  it('continues at the offsets of its state, whatever Kafka has committed', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { member, stop, partitions } = startMember(listingOn(state))
    const joined = await member()
    const first = await joined.assign([0])
    expect(first.get(live)).toEqual(new Map([[0, 0]]))
    await joined.deliver(live, recordsOf(eventsOf([1, 2])))
    const second = await joined.assign([0])
    expect([second.get(live)!.get(0), second.get(backfill)!.get(0)]).toEqual([2, 0])
    await joined.deliver(live, recordsOf(eventsOf([2, 3]), 2))
    await stop()
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 2, 3])
    expect(partitions).toEqual([[0], [0], []])
  })

  it('joins again when another member owns the partition, and counts nothing twice', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { member, stop, rejoinReasons } = startMember(listingOn(state))
    const first = await member()
    await first.assign([0])
    const other = await openListing(state)
    await other.add(live, recordsOf(eventsOf([1, 2])))
    await expect(first.deliver(live, recordsOf(eventsOf([1])))).rejects.toThrow(Fenced)
    const second = await member()
    const next = await second.assign([0])
    expect(next.get(live)!.get(0)).toBe(2)
    await second.deliver(live, recordsOf(eventsOf([2, 3]), 2))
    await stop()
    expect(rejoinReasons).toEqual(['another member owns the partition now'])
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 2, 3])
  })

  it('joins again when a delayed commit fails, even without new records', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const open = async () => (await openListing(state, { commitEveryMs: 50 })).work
    const { member, stop, rejoinReasons } = startMember({ name: 'listing', open })
    const first = await member()
    await first.assign([0])
    await first.deliver(live, recordsOf(eventsOf([1])))
    await first.deliver(live, recordsOf(eventsOf([2]), 1))
    const other = await openListing(state)
    const second = await member()
    expect(rejoinReasons).toEqual(['another member owns the partition now'])
    expect((await second.assign([0])).get(live)!.get(0)).toBe(1)
    expect(other.work.nextOffsets.get(live)).toBe(1)
    await second.deliver(live, recordsOf(eventsOf([2]), 1))
    await stop()
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 2])
  })

  it('processes the topics of a partition one call at a time, and closes a work before it opens the next', async () => {
    const steps: string[] = []
    const { consumer, releases } = createSlowConsumer(steps)
    const { member, stop } = startMember(consumer)
    const joined = await member()
    await joined.assign([0])
    const deliveries = [joined.deliver(live, recordsOf(eventsOf([1])))]
    deliveries.push(joined.deliver(backfill, recordsOf(eventsOf([2]))))
    await nextTurn()
    const expected = ['open 0', `start ${live}`]
    expect(steps).toEqual(expected)
    releases[0]!()
    await deliveries[0]
    await nextTurn()
    expected.push(`done ${live}`, `start ${backfill}`)
    expect(steps).toEqual(expected)
    const assignments = [joined.assign([1]), joined.assign([2])]
    await nextTurn()
    expect(steps).toEqual(expected)
    releases[1]!()
    await expect(deliveries[1]).rejects.toThrow('aborted')
    await expect(assignments[0]).rejects.toThrow('aborted')
    expect((await assignments[1])!.get(live)).toEqual(new Map([[2, 5]]))
    expect(steps).toEqual([...expected, `done ${backfill}`, 'close 0', 'open 2'])
    await stop()
    expect(steps.at(-1)).toBe('close 2')
  })

  it('reports why Kafka is unavailable', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { member, outages, stop } = startMember(listingOn(state))
    const joined = await member()
    joined.reportUnavailable('no broker answers')
    expect(outages).toEqual(['no broker answers'])
    await stop()
  })

  it('processes nothing after a failure, because uncommitted changes are lost', async () => {
    await using states = temporaryStates()
    await using real = await states.store.open('listing')
    let isBroken = true
    const state: ConsumerState = {
      ...real,
      async claim(partition) {
        const claimed = await real.claim(partition)
        const commit: typeof claimed.commit = async changes => {
          if (!isBroken) return claimed.commit(changes)
          isBroken = false
          throw new Error('a bug')
        }
        return { ...claimed, commit }
      },
    }
    const { member, running } = startMember(listingOn(state))
    const joined = await member()
    await joined.assign([0])
    const deliveries = [
      joined.deliver(live, recordsOf(eventsOf([1]))),
      joined.deliver(backfill, recordsOf(eventsOf([2]))),
    ]
    const fates = await Promise.allSettled(deliveries)
    expect(fates.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(running).rejects.toThrow('a bug')
    const { add } = await openListing(real)
    await add(live, recordsOf(eventsOf([1, 2])))
    expect(await listedNumbers(await real.reader(0))).toEqual([1, 2])
  })
})
