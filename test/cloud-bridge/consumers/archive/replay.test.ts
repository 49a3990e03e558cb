import { appendFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { DAY_MS } from '../../../../cloud-bridge/consumers/archive/files/paths.ts'
import { replayArchive } from '../../../../cloud-bridge/consumers/archive/replay.ts'
import { singleObjectFraming } from '../../../../cloud-bridge/framing/framing.ts'
import type { OutgoingRecord } from '../../../../cloud-bridge/ports/event-sink.ts'
import { decodeEvent, encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { openWorkspace } from '../../../gateway/inspect/command.ts'
import {
  createTopics,
  describeWithKafka,
  readTopic,
  sharedKafka,
} from '../../../setup/kafka/kafka.ts'
import { freshTopics } from '../../forward/running-bridge.ts'
import { createArchiveOf, createEvents, listFiles } from './fixture.ts'

const { receivedAt } = goldenEvent
const events = createEvents(12)

const createArchiveOfEvents = () => createArchiveOf(events)

async function replay(dir: string, options: object = {}) {
  const records: OutgoingRecord[] = []
  const count = await replayArchive({
    ...{ dir, fromMs: receivedAt, toMs: receivedAt + 2 * DAY_MS, topic: 'replayed', partitions: 2 },
    frame: singleObjectFraming,
    async deliver(batch) {
      records.push(...batch.records)
      return batch.records.map(() => null)
    },
    onRejected() {},
    ...options,
  })
  return { count, records }
}

describe('a replay of an archive', () => {
  it('sends the unchanged events of a time and zone to the partition where they were read', async () => {
    using folder = await createArchiveOfEvents()
    const all = await replay(folder.dir)
    expect(all.count).toBe(12)
    const bytes = (values: Buffer[]) => values.map(value => value.toString('hex')).sort()
    expect(bytes(all.records.map(({ value }) => value))).toEqual(
      bytes(events.map(event => encodeEvent(event))),
    )
    expect(new Set(all.records.map(({ partition }) => partition))).toEqual(new Set([0]))
    const some = await replay(folder.dir, { fromMs: receivedAt + 1, zone: 'z/1' })
    const ids = some.records.map(({ value }) => decodeEvent(value).zoneSequence)
    expect([some.count, ids]).toEqual([3, [4, 5, 6]])
  })

  it('sends nothing of a file that was changed, and names the file', async () => {
    using folder = await createArchiveOfEvents()
    const [file] = listFiles(folder.dir)
    appendFileSync(join(folder.dir, file!), 'x')
    await expect(replay(folder.dir)).rejects.toThrow(`${file} was changed since it was committed`)
  })

  it('does not start when the topic lacks a partition', async () => {
    using folder = await createArchiveOfEvents()
    await expect(replay(folder.dir, { partitions: 0 })).rejects.toThrow('belong to partition 0')
  })
})

describe('./sluice archive', () => {
  it('verify exits with 0, 1 or 2, and names each change', async () => {
    using folder = await createArchiveOfEvents()
    using at = openWorkspace({ consumers: { archive: { dir: folder.dir } } })
    const unchanged = await at.run('archive', 'verify')
    expect(unchanged).toMatchObject({ code: 0, stderr: '' })
    expect(unchanged.stdout).toMatch(
      /^partition 0: 4 files, 12 events; line #3 [0-9a-f]{64}\neverything/,
    )
    const [file] = listFiles(folder.dir)
    appendFileSync(join(folder.dir, file!), 'x')
    const changed = await at.run('archive', 'verify')
    expect(changed).toMatchObject({ code: 1, stderr: '' })
    expect(changed.stdout).toContain(`NOT AS COMMITTED: ${file}: changed since it was committed`)
    const none = await at.run('archive', 'verify', '--dir', join(folder.dir, 'none'))
    expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching('there is no archive at') })
  }, 30_000)

  it('ends with 2 and one sentence for a folder that is no archive', async () => {
    using at = openWorkspace()
    for (let n = 0; n < 9; n++) writeFileSync(at.file(`notes-${n}.txt`), 'x')
    const dir = dirname(at.file('notes-0.txt'))
    for (const words of [
      ['archive', 'verify', '--dir', dir],
      ['archive', 'compact', '--dir', dir],
      ['replay', '--from', '-1h', '--archive', dir],
      ['replay', '--from', '-1h', '--archive', join(dir, 'none')],
    ]) {
      const { code, stdout, stderr } = await at.run(...words)
      expect([words, code, stdout]).toEqual([words, 2, ''])
      expect(stderr).toMatch(`there is no archive at ${words.at(-1)}: name its directory in --`)
    }
  }, 60_000)

  it('compact says when nothing was to be merged', async () => {
    using folder = await createArchiveOfEvents()
    using at = openWorkspace({ consumers: { archive: { dir: folder.dir } } })
    const done = await at.run('archive', 'compact')
    expect([done.code, done.stdout]).toEqual([
      0,
      'nothing was to be merged: the archive has no small files of earlier dates\n',
    ])
  }, 60_000)
})

describeWithKafka('./sluice replay --archive', () => {
  it('sends archived events to a topic, without a bridge', async () => {
    using folder = await createArchiveOfEvents()
    const { backfill } = freshTopics()
    await createTopics(sharedKafka(), [{ topic: backfill, partitions: 2 }])
    using at = openWorkspace({ kafka: { brokers: inject('brokers') } })
    const from = ['--archive', folder.dir, '--from', '2023-01-01T00:00:00Z']
    const done = await at.run('replay', ...from, '--topic', backfill)
    expect(done).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: `12 events were sent to ${backfill} again\n`,
    })
    const [first] = await readTopic(sharedKafka(), backfill)
    const received = first!.map(({ value }) => decodeEvent(value))
    expect(received).toHaveLength(12)
    expect(received).toEqual(expect.arrayContaining(events))
    const none = await at.run(
      'replay',
      ...from,
      '--to',
      '2023-01-02T00:00:00Z',
      '--topic',
      backfill,
    )
    expect(none).toMatchObject({
      code: 1,
      stderr: expect.stringMatching('there is nothing to replay'),
    })
  }, 60_000)
})
