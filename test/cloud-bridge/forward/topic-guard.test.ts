import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { createTopicGuard } from '../../../cloud-bridge/forward/topic-guard.ts'
import {
  formatDuration,
  retentionFault,
  timestampLagMs,
} from '../../../cloud-bridge/kafka/topic-retention.ts'
import type { TopicConfig, TopicSettings } from '../../../cloud-bridge/kafka/topic-settings.ts'
import { type Batch, SinkUnavailable } from '../../../cloud-bridge/ports/event-sink.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { createForeignTopic } from '../../setup/kafka/foreign-topics.ts'
import { createTopics, describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { openKafkaTools } from '../../setup/kafka/kafka-tools.ts'
import { reading } from '../readings.ts'
import { freshTopics, startBridge } from './running-bridge.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const safe: TopicConfig = {
  timestampType: 'LogAppendTime',
  retentionMs: MINUTE_MS,
  retentionBytes: null,
  cleanupPolicy: 'delete',
  maxMessageBytes: 1_048_588,
  minInsyncReplicas: 1,
}
const createTime: TopicConfig = { ...safe, timestampType: 'CreateTime' }
const batch = { topic: 't', records: [] }

describe('a topic', () => {
  it.each<[string, TopicConfig, number, RegExp | null]>([
    ['with LogAppendTime', safe, HOUR_MS, null],
    ['with CreateTime and a retention longer than the backlog’s age', createTime, MINUTE_MS, null],
    ['with CreateTime and no retention', { ...createTime, retentionMs: null }, HOUR_MS, null],
    [
      'with CreateTime and a retention shorter than the backlog’s age',
      createTime,
      HOUR_MS,
      /^t keeps .*CreateTime\) for 60 s, .* 60 min old.*\. kafka-configs\.sh .*=LogAppendTime$/,
    ],
    [
      'that is compacted as well',
      { ...safe, cleanupPolicy: 'compact,delete' },
      0,
      /^t keeps only the last record of each key .*\. kafka-configs\.sh .*cleanup\.policy=delete$/,
    ],
  ])('%s', (_, config, lag, expected) => {
    const fault = retentionFault('t', config, lag)
    if (expected) expect(fault).toMatch(expected)
    else expect(fault).toBeNull()
  })

  it('has a fault also when the clock was set back, or is at 1970', () => {
    const nowMs = Date.UTC(2026, 5, 1)
    expect(timestampLagMs(5, nowMs)).toBe(5)
    expect(timestampLagMs(-HOUR_MS, nowMs)).toBe(HOUR_MS)
    expect(timestampLagMs(5, 1000)).toBeGreaterThan(50 * 365 * 24 * HOUR_MS)
  })

  it('has its times formatted for people', () => {
    expect([999, 90_000, 7_200_000, 7 * 86_400_000].map(formatDuration)).toEqual([
      '999 ms',
      '90 s',
      '2 h',
      '7 days',
    ])
  })
})

describe('the guard', () => {
  const rig = (config: TopicSettings['config']) => {
    const send = vi.fn(async (_: Batch): Promise<null[]> => [])
    const settingsOf = vi.fn(async () => ({ partitions: 1, replicas: 1, config }))
    const onCheckNotAllowed = vi.fn()
    const clock = { nowMs: 0 }
    const guard = createTopicGuard({
      ...{ settingsOf, onCheckNotAllowed, lagMs: () => HOUR_MS },
      nowMs: () => clock.nowMs,
    })
    return {
      send,
      settingsOf,
      onCheckNotAllowed,
      clock,
      sink: guard.guard({ send, isolate: vi.fn() }),
    }
  }

  it('checks at the first send, and then every few minutes', async () => {
    const { send, settingsOf, clock, sink } = rig(safe)
    for (let sends = 0; sends < 3; sends++) await sink.send(batch)
    expect(settingsOf).toHaveBeenCalledTimes(1)
    clock.nowMs = 10 * MINUTE_MS
    await sink.send(batch)
    await sink.send(batch)
    expect(settingsOf).toHaveBeenCalledTimes(2)
    expect(send).toHaveBeenCalledTimes(5)
  })

  it('holds events when the settings change, and sends them when the settings are fixed', async () => {
    const { send, settingsOf, clock, sink } = rig(safe)
    const settings = (config: TopicConfig) => ({ partitions: 1, replicas: 1, config })
    await sink.send(batch)
    settingsOf
      .mockResolvedValueOnce(settings(createTime))
      .mockResolvedValueOnce(settings(createTime))
    clock.nowMs = 10 * MINUTE_MS
    await sink.send(batch)
    await expect(sink.send(batch)).rejects.toThrow(SinkUnavailable)
    expect(send).toHaveBeenCalledTimes(2)
    await sink.send(batch)
    expect(send).toHaveBeenCalledTimes(3)
  })

  it('sends without the right to check, and reports that once', async () => {
    const { send, onCheckNotAllowed, clock, sink } = rig('not allowed')
    await sink.send(batch)
    clock.nowMs = 10 * MINUTE_MS
    await sink.send({ ...batch, topic: 'other' })
    expect(send).toHaveBeenCalledTimes(2)
    expect(onCheckNotAllowed.mock.calls).toEqual([['t']])
  })

  it('sends nothing before the first check, and continues when a later check fails', async () => {
    const { send, settingsOf, clock, sink } = rig(safe)
    settingsOf.mockRejectedValueOnce(new Error('unavailable'))
    await expect(sink.send(batch)).rejects.toThrow(
      new SinkUnavailable('the settings of topic t cannot be read: unavailable'),
    )
    expect(send).not.toHaveBeenCalled()
    await sink.send(batch)
    settingsOf.mockRejectedValueOnce(new Error('unavailable'))
    clock.nowMs = 10 * MINUTE_MS
    await sink.send(batch)
    expect(send).toHaveBeenCalledTimes(2)
  })
})

describeWithKafka('the bridge and a topic that Kafka would empty', () => {
  it.each<[string, Record<string, string>]>([
    ['the sender’s time', { 'message.timestamp.type': 'CreateTime', 'retention.ms': '60000' }],
    ['compaction', { 'cleanup.policy': 'compact' }],
  ])('holds old events until the cure was applied: %s', async (_, settings) => {
    await using stack = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-guard-'))
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const topics = freshTopics()
    await createForeignTopic(sharedKafka(), settings, { topic: topics.readings })
    await createTopics(sharedKafka(), [{ topic: topics.ledger, partitions: 1 }])
    const box = stack.adopt(openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' }), opened =>
      opened.close(),
    )
    const old = { ...reading('lobby'), receivedAt: Date.now() - HOUR_MS }
    box.commit({ readings: [old, reading('lobby')], deadLetters: [] })
    const bridge = await startBridge({ dir, kafka: sharedKafka(), topics })
    stack.defer(bridge.stop)
    await vi.waitFor(() => expect(bridge.waitReasons.events).toMatch(/kafka-configs\.sh/), 10_000)
    const tools = stack.use(await openKafkaTools([...sharedKafka().brokers]))
    const cure = bridge.waitReasons.events!.match(/kafka-configs\.sh.*/)![0]
    // Notes are still delivered: they show that the gateway is alive.
    await vi.waitFor(() => expect(bridge.totals.notes).toBeGreaterThan(0), 10_000)
    expect(bridge.totals.delivered).toBe(0)
    expect((await readTopic(sharedKafka(), topics.readings)).flat()).toEqual([])
    await tools.run(cure.replace('kafka-configs.sh', 'kafka-configs.sh $kafka'))
    await vi.waitFor(() => expect(bridge.totals.delivered).toBe(2), 10_000)
    expect(bridge.waitReasons.events).toBeNull()
    expect((await readTopic(sharedKafka(), topics.readings)).flat()).toHaveLength(2)
    expect(bridge.uncheckedTopics).toEqual([])
  })
})
