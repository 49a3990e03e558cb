import { describe, expect, it } from 'vitest'
import { emptyCounts } from '../../../../cloud-bridge/consumers/runtime/handler.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import {
  type ConsumerState,
  StateUnavailable,
} from '../../../../cloud-bridge/consumers/state/state.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'
import { RegistryFault } from '../../../../cloud-bridge/registry/faults.ts'
import {
  backfill,
  eventsOf,
  listed,
  live,
  openListing,
  POISON,
  recordsOf,
  temporaryStates,
} from './fixture.ts'

const lettersIn = async (state: ConsumerState) =>
  (await (await state.reader(0)).pendingEffects(1000))
    .filter(({ topic }) => topic === 'deadletters')
    .map(({ value }) => JSON.parse(value.toString()))

describe('the work of one partition', () => {
  it('counts each event once: in a batch, across batches, topics and restarts', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const first = await openListing(state)
    await first.take(live, recordsOf(eventsOf([1, 2, 2, 1])))
    await first.take(live, recordsOf(eventsOf([2, 3]), 4))
    await first.take(backfill, recordsOf(eventsOf([1, 3])))
    expect([...first.work.nextOffsets]).toEqual([
      [live, 6],
      [backfill, 2],
    ])
    const second = await openListing(state)
    expect([...second.work.nextOffsets].toSorted()).toEqual([...first.work.nextOffsets].toSorted())
    await second.take(live, recordsOf(eventsOf([3, 4, 1]), 6))
    expect(await listed(await state.reader(0))).toEqual([1, 2, 3, 4])
    const duplicates = [...first.told, ...second.told].map(({ duplicate }) => duplicate)
    expect(duplicates).toEqual([0, 2, 1, 2, 0, 2])
  })

  it('commits what comes soon behind a commit with the next one, and when it ends', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { work, take, told } = await openListing(state, { commitEveryMs: 200 })
    await take(live, recordsOf(eventsOf([1])))
    await take(live, recordsOf(eventsOf([2]), 1))
    await take(backfill, recordsOf(eventsOf([2, 3])))
    expect(await listed(await state.reader(0))).toEqual([1])
    expect([...work.nextOffsets]).toEqual([[live, 1]])
    await expect.poll(async () => listed(await state.reader(0))).toEqual([1, 2, 3])
    expect([...(await state.reader(0)).offsets].toSorted()).toEqual(
      [...work.nextOffsets].toSorted(),
    )
    expect(told.slice(1)).toEqual([
      { ...emptyCounts(), 'in order': 1 },
      { ...emptyCounts(), 'in order': 2, duplicate: 1 },
    ])
    await take(live, recordsOf(eventsOf([4]), 2))
    await work[Symbol.asyncDispose]()
    expect(await listed(await state.reader(0))).toEqual([1, 2, 3, 4])
    expect((await openListing(state)).work.nextOffsets.get(live)).toBe(3)
  })

  it('commits nothing of what was taken in part', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { work, take } = await openListing(state, { commitEveryMs: 60_000 })
    await take(live, recordsOf(eventsOf([1])))
    await take(live, recordsOf(eventsOf([2]), 1))
    const aborted = AbortSignal.abort(new Error('another has it'))
    await expect(take(live, recordsOf(eventsOf([3]), 2), aborted)).rejects.toThrow('another has it')
    await expect(take(live, recordsOf(eventsOf([3]), 2))).rejects.toThrow('another has it')
    await work[Symbol.asyncDispose]()
    expect(await listed(await state.reader(0))).toEqual([1])
    expect((await openListing(state)).work.nextOffsets.get(live)).toBe(1)
  })

  it('takes the same number of another epoch, zone or gateway for another event', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { take, told } = await openListing(state)
    const events = [{}, { epoch: 2 }, { zone: 'y' }, { gateway: 'g' }]
    await take(live, recordsOf(events.flatMap(more => eventsOf([1], more))))
    expect(told.at(-1)).toMatchObject({ 'in order': 4, duplicate: 0 })
  })

  it('tells what is late from what is out of order, also after a restart', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const first = await openListing(state)
    await first.take(live, recordsOf(eventsOf([1, 2, 9])))
    await first.take(backfill, recordsOf(eventsOf([3, 5])))
    expect(first.told.slice(1)).toEqual([
      { ...emptyCounts(), 'in order': 3 },
      { ...emptyCounts(), late: 2 },
    ])
    const second = await openListing(state)
    await second.take(backfill, recordsOf(eventsOf([4, 6]), 2))
    await second.take(live, recordsOf(eventsOf([7, 10]), 3))
    expect(second.told.slice(1)).toEqual([
      { ...emptyCounts(), 'out of order': 1, late: 1 },
      { ...emptyCounts(), 'out of order': 1, 'in order': 1 },
    ])
  })

  it('knows how many are missing, also right after a restart', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const first = await openListing(state)
    await first.take(live, recordsOf(eventsOf([3, 9])))
    await first.take(live, recordsOf(eventsOf([2], { zone: 'y' }), 2))
    const second = await openListing(state)
    await second.take(backfill, recordsOf(eventsOf([1, 5, 5, 9])))
    expect([...first.missing, ...second.missing]).toEqual([0, 7, 8, 8, 6])
    expect((await openListing(state)).missing).toEqual([6])
  })

  it('buries what it cannot take and goes on; sent again, it counts', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { take, told } = await openListing(state)
    const bad = [POISON, `${POISON} key`, `${POISON} value`]
    const poisoned = bad.map((device, at) => eventsOf([2 + at], { device })[0]!)
    const records = [eventsOf([1])[0]!, ...poisoned, Buffer.from('?'), ...eventsOf([5])]
    await take(live, recordsOf(records))
    expect(told.at(-1)).toEqual({ ...emptyCounts(), 'in order': 2, unusable: 4 })
    expect(await listed(await state.reader(0))).toEqual([1, 5])
    const letters = await lettersIn(state)
    expect(letters.map(({ offset }) => offset).toSorted()).toEqual([1, 2, 3, 4])
    expect(letters.find(({ offset }) => offset === 1)).toMatchObject({
      ...{ consumer: 'listing', topic: live, partition: 0, attempts: 1, reason: 'cannot be taken' },
      value: recordsOf([poisoned[0]!])[0]!.value.toString('base64'),
    })
    const again = { 'sluice-attempts': Buffer.from('1') }
    await take(live, recordsOf([poisoned[0]!], 6, again))
    expect((await lettersIn(state)).find(({ offset }) => offset === 6).attempts).toBe(2)
    await take(live, recordsOf(eventsOf([2, 3]), 7, again))
    expect(await listed(await state.reader(0))).toEqual([1, 5, 2, 3])
  })

  it('buries names that are too long for a key, and leaves out bytes that are too many', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { take } = await openListing(state)
    const events = [
      ...eventsOf([1], { zone: 'z'.repeat(900) }),
      ...eventsOf([1], { device: 'd'.repeat(2_000_000) }),
      ...eventsOf([1]),
    ]
    await take(live, recordsOf(events))
    expect(await listed(await state.reader(0))).toEqual([1])
    const letters = await lettersIn(state)
    expect(letters.map(({ reason }) => /names have \d+ characters/.test(reason))).toEqual([
      true,
      true,
    ])
    expect(letters.map(({ value }) => value === null)).toEqual([false, true])
  })

  it('waits while the registry is away, and buries a schema that nobody has', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    let asked = 0
    const registry = {
      async schemasOf() {
        if (++asked < 3) throw new RegistryFault('unavailable', 'the registry is gone')
        return new Map()
      },
    }
    const read = createRecordDecoder(createEventReader(registry as never), [live])
    const { take, told, away } = await openListing(state, { decodeRecords: read })
    const unknown = Buffer.concat([Buffer.from([0, 0, 0, 0, 77]), Buffer.alloc(20, 0xff)])
    await take(live, recordsOf([...eventsOf([1]), unknown, ...eventsOf([2])]))
    expect(away).toEqual([expect.stringContaining('registry'), expect.anything(), null])
    expect(told.at(-1)).toEqual({ ...emptyCounts(), 'in order': 2, unusable: 1 })
    expect(await listed(await state.reader(0))).toEqual([1, 2])
    const before = asked
    await take(live, recordsOf([unknown], 3))
    expect(asked).toBe(before)
  })

  it('waits while the state is away, and what it took counts once then', async () => {
    await using states = temporaryStates()
    await using real = await states.store.open('listing')
    // The last commit was made although nobody was told, as when the connection breaks.
    const fates = ['away', 'made', null]
    const state: ConsumerState = {
      ...real,
      async claim(partition) {
        const claimed = await real.claim(partition)
        const commit: typeof claimed.commit = async changes => {
          const fate = fates.shift()
          if (fate !== 'away') await claimed.commit(changes)
          if (fate) throw new StateUnavailable('gone')
        }
        return { ...claimed, commit }
      },
    }
    const { take, told, away } = await openListing(state)
    await take(live, recordsOf(eventsOf([1, 2])))
    expect(away).toEqual(['gone', 'gone', null])
    await take(live, recordsOf(eventsOf([2, 3]), 2))
    expect(await listed(await real.reader(0))).toEqual([1, 2, 3])
    expect(told.slice(1).map(counts => counts['in order'])).toEqual([2, 1])
    expect((await (await real.reader(0)).pendingEffects(10)).length).toBe(3)
  })

  it('leaves nothing behind when it is aborted in the middle', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    for (const stage of ['read', 'load', 'commit']) {
      const ending = new AbortController()
      const claim = async (partition: number) => {
        const claimed = await state.claim(partition)
        const get = async (keys: readonly string[]) => {
          if (stage === 'load') ending.abort()
          return claimed.get(keys)
        }
        const commit = async () => {
          ending.abort()
          throw new StateUnavailable('gone')
        }
        return { ...claimed, get, ...(stage === 'commit' && { commit }) }
      }
      const read = createRecordDecoder(createEventReader(null), [live])
      const { take } = await openListing({ ...state, claim } as ConsumerState, {
        async decodeRecords(records) {
          if (stage === 'read') ending.abort()
          return read(records)
        },
      })
      const taken = take(live, recordsOf(eventsOf([1])), ending.signal)
      await expect(taken).rejects.toThrow('aborted')
    }
    const { take, work } = await openListing(state)
    expect([...work.nextOffsets]).toEqual([])
    await take(live, recordsOf(eventsOf([1])))
    expect(await listed(await state.reader(0))).toEqual([1])
  })
})
