import { describe, expect, it } from 'vitest'
import { NoSuchTopic } from '../../../cloud-bridge/kafka/client.ts'
import {
  createReplayCommand,
  type ReplayAnswer,
} from '../../../cloud-bridge/replay/replay-command.ts'
import { reading } from '../../gateway/store/fixture.ts'
import { limits, openStores } from '../../gateway/store/source/source-fixture.ts'

const BASE = 1_700_000_000_000
const all = { from: BASE, to: BASE + 1_000_000 }

/** An outbox with a group for each time (ms after BASE); `delivered` of them are delivered. */
function startCommand(times: number[], delivered = times.length) {
  const place = openStores()
  const outbox = place.openOutbox()
  const store = (timesMs: number[]) => {
    for (const ms of timesMs) outbox.commit({ readings: [reading('a', ms)], deadLetters: [] })
  }
  store(times.slice(0, delivered))
  let isOpen = true
  const closeOutbox = () => {
    if (isOpen) outbox.close()
    isOpen = false
  }
  const { source } = place
  const deliver = () => {
    source.refresh()
    source.ensureLiveRange('readings', 3)
    const pending = source.readBatch(limits)
    if (pending) source.advance(pending)
  }
  const replay = (
    input: object,
    partitionsOf: (topic: string) => Promise<number> = async () => 3,
  ) => {
    const { outboxFile } = place
    const command = createReplayCommand({ outboxFile, source, topic: 'backfill', partitionsOf })
    return command(input as Record<string, unknown>) as Promise<ReplayAnswer>
  }
  return {
    ...{ place, source, deliver, replay },
    storeRest: () => store(times.slice(delivered)),
    closeOutbox,
    [Symbol.dispose]() {
      closeOutbox()
      place[Symbol.dispose]()
    },
  }
}

describe('the replay command', () => {
  it('adds the delivered events of a time and a zone, durably, and no others', async () => {
    using at = startCommand([0, 10, 20, 30], 3)
    at.deliver()
    at.storeRest()
    const runs = [{ from: 2, to: 3, events: 2 }]
    expect(await at.replay({ ...all, from: BASE + 5, zone: 'a' })).toEqual({
      ...{ topic: 'backfill', runs, waits: null },
    })
    expect(await at.replay({ ...all, zone: 'b' })).toEqual({
      topic: 'backfill',
      runs: [],
      waits: null,
    })
    at.place.stop()
    at.place.start()
    at.place.source.refresh()
    const { ranges } = at.place.source
    expect(ranges).toMatchObject([
      { next: 4, end: null },
      { next: 2, end: 3, topic: 'backfill', partitions: 3, zones: '["a"]' },
    ])
    expect(ranges[1]!.reason).toBe('replay 2023-11-14T22:13:20.005Z to 2023-11-14T22:30:00.000Z')
  })

  it.each([
    [{ from: 1 }, /ms since 1970/],
    [{ from: 2, to: 2 }, /from before to/],
    [{ from: 3, to: 2 }, /from before to/],
    [{ from: 1.5, to: 2 }, /ms since 1970/],
    [{ from: -1e300, to: 2 }, /ms since 1970/],
    [{ ...all, zone: 7 }, /zone must be text/],
  ])('refuses %j', async (input, reason) => {
    using at = startCommand([0])
    at.deliver()
    await expect(at.replay(input)).rejects.toThrow(reason)
    expect(at.source.ranges).toHaveLength(1)
  })

  it('is refused before the first delivery', async () => {
    using at = startCommand([0])
    at.source.refresh()
    await expect(at.replay(all)).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching(/no event was deliv/),
    })
    at.source.ensureLiveRange('readings', 3)
    expect(await at.replay(all)).toMatchObject({ runs: [] })
  })

  it('names the key and the cure when the topic does not exist or is too small', async () => {
    using at = startCommand([0])
    at.deliver()
    const missing = at.replay(all, () => Promise.reject(new NoSuchTopic()))
    await expect(missing).rejects.toMatchObject({
      status: 409,
      message: expect.stringMatching(
        /kafka.topics.backfill = backfill: .* no such topic.*--create .*--partitions 3/,
      ),
    })
    await expect(at.replay(all, async () => 2)).rejects.toMatchObject({
      status: 409,
      message: expect.stringMatching(
        /kafka.topics.backfill = backfill has too few .* 2 and not 3.*--alter .*--partitions 3/,
      ),
    })
    expect(at.source.ranges).toHaveLength(1)
    expect(await at.replay(all, async () => 4)).toMatchObject({ waits: null })
  })

  it('is accepted while Kafka is unavailable, and answers why it waits', async () => {
    using at = startCommand([0])
    at.deliver()
    const answer = await at.replay(all, () => Promise.reject(new Error('ECONNREFUSED')))
    expect(answer).toMatchObject({ runs: [{ events: 1 }], waits: 'ECONNREFUSED' })
    expect(at.source.ranges).toHaveLength(2)
  })

  it('accepts a limited number of ranges, or none of a time that needs too many', async () => {
    using at = startCommand(Array.from({ length: 202 }, (_, n) => (n % 2 === 0 ? n : 500_000)))
    at.deliver()
    const answer = at.replay({ ...all, to: BASE + 1000 })
    await expect(answer).rejects.toMatchObject({
      status: 409,
      message: expect.stringMatching(/101 ranges.*shorter period/),
    })
    expect(at.source.ranges).toHaveLength(1)
    for (let count = 0; count < 100; count++) await at.replay({ ...all, to: BASE + 1 })
    await expect(at.replay({ ...all, to: BASE + 1 })).rejects.toThrow('100 ranges wait already')
    expect(at.source.ranges).toHaveLength(101)
  })

  it('is refused while there is no outbox, or another outbox', async () => {
    using at = startCommand([0])
    at.deliver()
    at.closeOutbox()
    at.place.removeOutbox()
    await expect(at.replay(all)).rejects.toMatchObject({
      status: 503,
      message: 'there is no outbox: start the gateway',
    })
    const other = at.place.openOutbox()
    expect(other.store).not.toEqual(at.source.store!.id)
    await expect(at.replay(all)).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching('being replaced'),
    })
    expect(at.source.ranges).toHaveLength(1)
    other.close()
  })

  it('is refused with the reason when the inbox cannot be written', async () => {
    using at = startCommand([0])
    at.deliver()
    at.source.addReplay = () => {
      throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' })
    }
    await expect(at.replay(all)).rejects.toMatchObject({
      status: 503,
      message: expect.stringMatching(/disk is full. Try again/),
    })
  })
})
