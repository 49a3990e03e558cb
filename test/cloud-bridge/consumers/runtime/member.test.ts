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
  listed,
  live,
  openListing,
  recordsOf,
  temporaryStates,
} from './fixture.ts'
import { openMemoryGroup } from './memory-group.ts'

/** A member of a group in memory, with what it told. */
function startMember(consumer: Consumer) {
  const stopping = new AbortController()
  const { group, member } = openMemoryGroup()
  const faults: string[] = []
  const partitions: (readonly number[])[] = []
  const running = runMember({
    onUnavailable: () => {},
    onDeleted: () => {},
    ...{ consumer, group, groupId: 'g', topics: [live, backfill], sessionMs: 1000 },
    signal: stopping.signal,
    onPartitions: now => partitions.push(now),
    onRejoin: reason => faults.push(reason),
  })
  const stop = async () => {
    stopping.abort()
    await running
  }
  return { member, faults, partitions, running, stop }
}

const listingOn = (state: ConsumerState): Consumer => ({
  name: 'listing',
  open: async () => (await openListing(state)).work,
})

/** Work that waits in each take until it is let go, and says what it does. */
function slowConsumer(said: string[]) {
  const letGo: (() => void)[] = []
  const consumer: Consumer = {
    name: 'slow',
    async open(partition) {
      said.push(`open ${partition}`)
      return {
        nextOffsets: new Map([[live, 5]]),
        async processRecords(topic, _, signal) {
          said.push(`take ${topic}`)
          const { promise, resolve } = Promise.withResolvers<void>()
          letGo.push(resolve)
          await promise
          said.push(`done ${topic}`)
          signal.throwIfAborted()
        },
        async [Symbol.asyncDispose]() {
          said.push(`close ${partition}`)
        },
      } satisfies PartitionWork
    },
  }
  return { consumer, letGo }
}
const turn = () => new Promise(resolve => setImmediate(resolve))

describe('a member', () => {
  it('goes on where its state is, whatever Kafka says', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { member, stop, partitions } = startMember(listingOn(state))
    const joined = await member()
    const first = await joined.assign([0])
    expect(first.get(live)).toEqual(new Map([[0, 0]]))
    await joined.give(live, recordsOf(eventsOf([1, 2])))
    const again = await joined.assign([0])
    expect([again.get(live)!.get(0), again.get(backfill)!.get(0)]).toEqual([2, 0])
    await joined.give(live, recordsOf(eventsOf([2, 3]), 2))
    await stop()
    expect(await listed(await state.reader(0))).toEqual([1, 2, 3])
    expect(partitions).toEqual([[0], [0], []])
  })

  it('begins anew when another has the partition, and counts nothing twice', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { member, stop, faults } = startMember(listingOn(state))
    const first = await member()
    await first.assign([0])
    const other = await openListing(state)
    await other.take(live, recordsOf(eventsOf([1, 2])))
    await expect(first.give(live, recordsOf(eventsOf([1])))).rejects.toThrow(Fenced)
    const second = await member()
    const next = await second.assign([0])
    expect(next.get(live)!.get(0)).toBe(2)
    await second.give(live, recordsOf(eventsOf([2, 3]), 2))
    await stop()
    expect(faults).toEqual(['another member owns the partition now'])
    expect(await listed(await state.reader(0))).toEqual([1, 2, 3])
  })

  it('begins anew when a commit that was put off fails, though nothing more comes', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const open = async () => (await openListing(state, { commitEveryMs: 50 })).work
    const { member, stop, faults } = startMember({ name: 'listing', open })
    const first = await member()
    await first.assign([0])
    await first.give(live, recordsOf(eventsOf([1])))
    await first.give(live, recordsOf(eventsOf([2]), 1))
    const other = await openListing(state)
    const second = await member()
    expect(faults).toEqual(['another member owns the partition now'])
    expect((await second.assign([0])).get(live)!.get(0)).toBe(1)
    expect(other.work.nextOffsets.get(live)).toBe(1)
    await second.give(live, recordsOf(eventsOf([2]), 1))
    await stop()
    expect(await listed(await state.reader(0))).toEqual([1, 2])
  })

  it('takes the topics of a partition in turn, and closes what it had before it opens again', async () => {
    const said: string[] = []
    const { consumer, letGo } = slowConsumer(said)
    const { member, stop } = startMember(consumer)
    const joined = await member()
    await joined.assign([0])
    const given = [joined.give(live, recordsOf(eventsOf([1])))]
    given.push(joined.give(backfill, recordsOf(eventsOf([2]))))
    await turn()
    const steps = ['open 0', `take ${live}`]
    expect(said).toEqual(steps)
    letGo[0]!()
    await given[0]
    await turn()
    steps.push(`done ${live}`, `take ${backfill}`)
    expect(said).toEqual(steps)
    const assigned = [joined.assign([1]), joined.assign([2])]
    await turn()
    expect(said).toEqual(steps)
    letGo[1]!()
    await expect(given[1]).rejects.toThrow('aborted')
    await expect(assigned[0]).rejects.toThrow('aborted')
    expect((await assigned[1])!.get(live)).toEqual(new Map([[2, 5]]))
    expect(said).toEqual([...steps, `done ${backfill}`, 'close 0', 'open 2'])
    await stop()
    expect(said.at(-1)).toBe('close 2')
  })

  it('takes nothing more after what failed, or it would count on what was not committed', async () => {
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
    const given = [
      joined.give(live, recordsOf(eventsOf([1]))),
      joined.give(backfill, recordsOf(eventsOf([2]))),
    ]
    const fates = await Promise.allSettled(given)
    expect(fates.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(running).rejects.toThrow('a bug')
    const { take } = await openListing(real)
    await take(live, recordsOf(eventsOf([1, 2])))
    expect(await listed(await real.reader(0))).toEqual([1, 2])
  })
})
