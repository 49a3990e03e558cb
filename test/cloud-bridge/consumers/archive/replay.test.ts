import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { replayArchive } from '../../../../cloud-bridge/consumers/archive/replay.ts'
import { singleObjectFraming } from '../../../../cloud-bridge/framing/framing.ts'
import type { OutgoingRecord } from '../../../../cloud-bridge/ports/event-sink.ts'
import { decodeEvent, encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { startCommands } from '../../../gateway/inspect/command.ts'
import {
  createTopics,
  describeWithKafka,
  readTopic,
  sharedKafka,
} from '../../../setup/kafka/kafka.ts'
import { freshTopics } from '../../forward/running-bridge.ts'
import { feed, filesIn, openWork, recordsOf, someEvents, TOPIC, temporaryDir } from './fixture.ts'

const DAY_MS = 86_400_000
const { receivedAt } = goldenEvent
const events = someEvents(12)

async function someArchive() {
  const place = temporaryDir()
  await using work = await openWork(place)
  await feed(work, TOPIC, recordsOf(events))
  return place
}

async function replayed(dir: string, more: object = {}) {
  const records: OutgoingRecord[] = []
  const count = await replayArchive({
    ...{ dir, fromMs: receivedAt, toMs: receivedAt + 2 * DAY_MS, topic: 'again', partitions: 2 },
    frame: singleObjectFraming,
    async deliver(batch) {
      records.push(...batch.records)
      return batch.records.map(() => null)
    },
    onRejected() {},
    ...more,
  })
  return { count, records }
}

describe('a replay of an archive', () => {
  it('sends the events of a time and zone as they were, to the partition they came from', async () => {
    using place = await someArchive()
    const all = await replayed(place.dir)
    expect(all.count).toBe(12)
    const bytes = (values: Buffer[]) => values.map(value => value.toString('hex')).sort()
    expect(bytes(all.records.map(({ value }) => value))).toEqual(
      bytes(events.map(one => encodeEvent(one))),
    )
    expect(new Set(all.records.map(({ partition }) => partition))).toEqual(new Set([0]))
    const some = await replayed(place.dir, { fromMs: receivedAt + 1, zone: 'z/1' })
    const ids = some.records.map(({ value }) => decodeEvent(value).zoneSequence)
    expect([some.count, ids]).toEqual([3, [4, 5, 6]])
  })

  it('sends nothing of a file that was changed, and says which', async () => {
    using place = await someArchive()
    const [file] = filesIn(place.dir)
    appendFileSync(join(place.dir, file!), 'x')
    await expect(replayed(place.dir)).rejects.toThrow(`${file} was changed since it was committed`)
  })

  it('does not begin where a partition is missing', async () => {
    using place = await someArchive()
    await expect(replayed(place.dir, { partitions: 0 })).rejects.toThrow('came from number 0')
  })
})

describe('./sluice archive', () => {
  it('verify ends with 0, 1 or 2, and names what was changed', async () => {
    using place = await someArchive()
    using at = startCommands({ consumers: { archive: { dir: place.dir } } })
    const whole = await at.run('archive', 'verify')
    expect(whole).toMatchObject({ code: 0, stderr: '' })
    expect(whole.stdout).toMatch(
      /^partition 0: 4 files, 12 events; line #3 [0-9a-f]{64}\neverything/,
    )
    const [file] = filesIn(place.dir)
    appendFileSync(join(place.dir, file!), 'x')
    const changed = await at.run('archive', 'verify')
    expect(changed).toMatchObject({ code: 1, stderr: '' })
    expect(changed.stdout).toContain(`NOT AS COMMITTED: ${file}: changed since it was committed`)
    const none = await at.run('archive', 'verify', '--dir', join(place.dir, 'none'))
    expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching('there is no archive at') })
  }, 30_000)
})

describeWithKafka('./sluice replay --archive', () => {
  it('sends what is archived to a topic, without a bridge', async () => {
    using place = await someArchive()
    const { backfill } = freshTopics()
    await createTopics(sharedKafka(), [{ topic: backfill, partitions: 2 }])
    using at = startCommands({ kafka: { brokers: inject('brokers') } })
    const from = ['--archive', place.dir, '--from', '2023-01-01T00:00:00Z']
    const done = await at.run('replay', ...from, '--topic', backfill)
    expect(done).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: `12 events went to ${backfill} once more\n`,
    })
    const [first] = await readTopic(sharedKafka(), backfill)
    const came = first!.map(({ value }) => decodeEvent(value))
    expect(came).toHaveLength(12)
    expect(came).toEqual(expect.arrayContaining(events))
    const none = await at.run(
      'replay',
      ...from,
      '--to',
      '2023-01-02T00:00:00Z',
      '--topic',
      backfill,
    )
    expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching('nothing of this time') })
  }, 60_000)
})
