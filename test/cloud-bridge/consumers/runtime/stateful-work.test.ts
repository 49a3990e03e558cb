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
  listedNumbers,
  live,
  openListing,
  POISON,
  recordsOf,
  temporaryStates,
} from './fixture.ts'

const deadLettersIn = async (state: ConsumerState) =>
  (await (await state.reader(0)).pendingEffects(1000))
    .filter(({ topic }) => topic === 'deadletters')
    .map(({ value }) => JSON.parse(value.toString()))

describe('the work of one partition', () => {
  it('counts each event once: in a batch, across batches, topics and restarts', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const first = await openListing(state)
    await first.add(live, recordsOf(eventsOf([1, 2, 2, 1])))
    await first.add(live, recordsOf(eventsOf([2, 3]), 4))
    await first.add(backfill, recordsOf(eventsOf([1, 3])))
    expect([...first.work.nextOffsets]).toEqual([
      [live, 6],
      [backfill, 2],
    ])
    const second = await openListing(state)
    expect([...second.work.nextOffsets].toSorted()).toEqual([...first.work.nextOffsets].toSorted())
    await second.add(live, recordsOf(eventsOf([3, 4, 1]), 6))
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 2, 3, 4])
    const duplicates = [...first.committed, ...second.committed].map(({ duplicate }) => duplicate)
    expect(duplicates).toEqual([0, 2, 1, 2, 0, 2])
  })

  it('delays the commit after a recent one, and commits at its end', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { work, add, committed } = await openListing(state, { commitEveryMs: 200 })
    await add(live, recordsOf(eventsOf([1])))
    await add(live, recordsOf(eventsOf([2]), 1))
    await add(backfill, recordsOf(eventsOf([2, 3])))
    expect(await listedNumbers(await state.reader(0))).toEqual([1])
    expect([...work.nextOffsets]).toEqual([[live, 1]])
    await expect.poll(async () => listedNumbers(await state.reader(0))).toEqual([1, 2, 3])
    expect([...(await state.reader(0)).offsets].toSorted()).toEqual(
      [...work.nextOffsets].toSorted(),
    )
    expect(committed.slice(1)).toEqual([
      { ...emptyCounts(), 'in order': 1 },
      { ...emptyCounts(), 'in order': 2, duplicate: 1 },
    ])
    await add(live, recordsOf(eventsOf([4]), 2))
    await work[Symbol.asyncDispose]()
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 2, 3, 4])
    expect((await openListing(state)).work.nextOffsets.get(live)).toBe(3)
  })

  it('commits nothing of a partly processed batch', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { work, add } = await openListing(state, { commitEveryMs: 60_000 })
    await add(live, recordsOf(eventsOf([1])))
    await add(live, recordsOf(eventsOf([2]), 1))
    const aborted = AbortSignal.abort(new Error('rebalance'))
    await expect(add(live, recordsOf(eventsOf([3]), 2), aborted)).rejects.toThrow('rebalance')
    await expect(add(live, recordsOf(eventsOf([3]), 2))).rejects.toThrow('rebalance')
    await work[Symbol.asyncDispose]()
    expect(await listedNumbers(await state.reader(0))).toEqual([1])
    expect((await openListing(state)).work.nextOffsets.get(live)).toBe(1)
  })

  it('treats the same number of another epoch, zone or gateway as another event', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { add, committed } = await openListing(state)
    const events = [{}, { epoch: 2 }, { zone: 'y' }, { gateway: 'g' }]
    await add(live, recordsOf(events.flatMap(more => eventsOf([1], more))))
    expect(committed.at(-1)).toMatchObject({ 'in order': 4, duplicate: 0 })
  })

  it('distinguishes late from out of order, also after a restart', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const first = await openListing(state)
    await first.add(live, recordsOf(eventsOf([1, 2, 9])))
    await first.add(backfill, recordsOf(eventsOf([3, 5])))
    expect(first.committed.slice(1)).toEqual([
      { ...emptyCounts(), 'in order': 3 },
      { ...emptyCounts(), late: 2 },
    ])
    const second = await openListing(state)
    await second.add(backfill, recordsOf(eventsOf([4, 6]), 2))
    await second.add(live, recordsOf(eventsOf([7, 10]), 3))
    expect(second.committed.slice(1)).toEqual([
      { ...emptyCounts(), 'out of order': 1, late: 1 },
      { ...emptyCounts(), 'out of order': 1, 'in order': 1 },
    ])
  })

  it('knows the number of missing events, also right after a restart', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const first = await openListing(state)
    await first.add(live, recordsOf(eventsOf([3, 9])))
    await first.add(live, recordsOf(eventsOf([2], { zone: 'y' }), 2))
    const second = await openListing(state)
    await second.add(backfill, recordsOf(eventsOf([1, 5, 5, 9])))
    expect([...first.missing, ...second.missing]).toEqual([0, 7, 8, 8, 6])
    expect((await openListing(state)).missing).toEqual([6])
  })

  it('dead-letters an unusable record and continues; a retry counts', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { add, committed } = await openListing(state)
    const bad = [POISON, `${POISON} key`, `${POISON} value`]
    const poisoned = bad.map((device, at) => eventsOf([2 + at], { device })[0]!)
    const records = [eventsOf([1])[0]!, ...poisoned, Buffer.from('?'), ...eventsOf([5])]
    await add(live, recordsOf(records))
    expect(committed.at(-1)).toEqual({ ...emptyCounts(), 'in order': 2, unusable: 4 })
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 5])
    const letters = await deadLettersIn(state)
    expect(letters.map(({ offset }) => offset).toSorted()).toEqual([1, 2, 3, 4])
    expect(letters.find(({ offset }) => offset === 1)).toMatchObject({
      ...{
        consumer: 'listing',
        topic: live,
        partition: 0,
        attempts: 1,
        reason: 'cannot be processed',
      },
      value: recordsOf([poisoned[0]!])[0]!.value.toString('base64'),
    })
    const headers = { 'sluice-attempts': Buffer.from('1') }
    await add(live, recordsOf([poisoned[0]!], 6, headers))
    expect((await deadLettersIn(state)).find(({ offset }) => offset === 6).attempts).toBe(2)
    await add(live, recordsOf(eventsOf([2, 3]), 7, headers))
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 5, 2, 3])
  })

  it('dead-letters names too long for a key, and leaves out too many bytes', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { add } = await openListing(state)
    const events = [
      ...eventsOf([1], { zone: 'z'.repeat(900) }),
      ...eventsOf([1], { device: 'd'.repeat(2_000_000) }),
      ...eventsOf([1]),
    ]
    await add(live, recordsOf(events))
    expect(await listedNumbers(await state.reader(0))).toEqual([1])
    const letters = await deadLettersIn(state)
    expect(letters.map(({ reason }) => /names have \d+ characters/.test(reason))).toEqual([
      true,
      true,
    ])
    expect(letters.map(({ value }) => value === null)).toEqual([false, true])
  })

  it('waits while the registry is unavailable, and dead-letters an unknown schema', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    let requests = 0
    const registry = {
      async schemasOf() {
        if (++requests < 3) throw new RegistryFault('unavailable', 'the registry does not answer')
        return new Map()
      },
    }
    const decodeRecords = createRecordDecoder(createEventReader(registry as never), [live])
    const { add, committed, reasons } = await openListing(state, { decodeRecords })
    const unknown = Buffer.concat([Buffer.from([0, 0, 0, 0, 77]), Buffer.alloc(20, 0xff)])
    await add(live, recordsOf([...eventsOf([1]), unknown, ...eventsOf([2])]))
    expect(reasons).toEqual([expect.stringContaining('registry'), expect.anything(), null])
    expect(committed.at(-1)).toEqual({ ...emptyCounts(), 'in order': 2, unusable: 1 })
    expect(await listedNumbers(await state.reader(0))).toEqual([1, 2])
    const requestsBefore = requests
    await add(live, recordsOf([unknown], 3))
    expect(requests).toBe(requestsBefore)
  })

  it('waits while the state is unavailable, and counts the records once then', async () => {
    await using states = temporaryStates()
    await using real = await states.store.open('listing')
    // The second commit succeeds without an answer, as when the connection breaks.
    const fates = ['failed', 'unanswered', null]
    const state: ConsumerState = {
      ...real,
      async claim(partition) {
        const claimed = await real.claim(partition)
        const commit: typeof claimed.commit = async changes => {
          const fate = fates.shift()
          if (fate !== 'failed') await claimed.commit(changes)
          if (fate) throw new StateUnavailable('no answer')
        }
        return { ...claimed, commit }
      },
    }
    const { add, committed, reasons } = await openListing(state)
    await add(live, recordsOf(eventsOf([1, 2])))
    expect(reasons).toEqual(['no answer', 'no answer', null])
    await add(live, recordsOf(eventsOf([2, 3]), 2))
    expect(await listedNumbers(await real.reader(0))).toEqual([1, 2, 3])
    expect(committed.slice(1).map(counts => counts['in order'])).toEqual([2, 1])
    expect((await (await real.reader(0)).pendingEffects(10)).length).toBe(3)
  })

  it('leaves no change when it is aborted in the middle', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    for (const stage of ['decode', 'load', 'commit']) {
      const ending = new AbortController()
      const claim = async (partition: number) => {
        const claimed = await state.claim(partition)
        const get = async (keys: readonly string[]) => {
          if (stage === 'load') ending.abort()
          return claimed.get(keys)
        }
        const commit = async () => {
          ending.abort()
          throw new StateUnavailable('no answer')
        }
        return { ...claimed, get, ...(stage === 'commit' && { commit }) }
      }
      const decodeRecords = createRecordDecoder(createEventReader(null), [live])
      const { add } = await openListing({ ...state, claim } as ConsumerState, {
        async decodeRecords(records) {
          if (stage === 'decode') ending.abort()
          return decodeRecords(records)
        },
      })
      const added = add(live, recordsOf(eventsOf([1])), ending.signal)
      await expect(added).rejects.toThrow('aborted')
    }
    const { add, work } = await openListing(state)
    expect([...work.nextOffsets]).toEqual([])
    await add(live, recordsOf(eventsOf([1])))
    expect(await listedNumbers(await state.reader(0))).toEqual([1])
  })
})
