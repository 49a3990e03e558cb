import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createTopicGuard } from '../../../cloud-bridge/forward/topic-guard.ts'
import {
  clockLagMs,
  formatDuration,
  retentionFault,
} from '../../../cloud-bridge/kafka/topic-retention.ts'
import type { TopicConfig, TopicSettings } from '../../../cloud-bridge/kafka/topic-settings.ts'
import { type Batch, SinkUnavailable } from '../../../cloud-bridge/ports/event-sink.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { createForeignTopic } from '../../setup/kafka/foreign-topics.ts'
import { describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { openKafkaTools } from '../../setup/kafka/kafka-tools.ts'
import { reading } from '../readings.ts'
import { freshTopics, startBridge } from './running-bridge.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const DAY_MS = 24 * HOUR_MS
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
    ['with CreateTime, and a clock less wrong than its retention', createTime, MINUTE_MS, null],
    ['with CreateTime and no retention', { ...createTime, retentionMs: null }, HOUR_MS, null],
    [
      'with CreateTime, and a clock that is further behind than its retention',
      createTime,
      HOUR_MS,
      /^t .*CreateTime\) for 60 s, .* 60 min behind.*\. Set .* kafka-configs\.sh .*=LogAppendTime$/,
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

  it('has a fault when the clock is behind the clock of Kafka, or is at 1970', () => {
    const nowMs = Date.UTC(2026, 5, 1)
    expect(clockLagMs(nowMs)).toBe(0)
    expect(clockLagMs(nowMs, HOUR_MS)).toBe(HOUR_MS)
    expect(clockLagMs(1000)).toBeGreaterThan(50 * 365 * 24 * HOUR_MS)
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
    const clock = { nowMs: 0, lagMs: HOUR_MS, isCompared: true }
    const guard = createTopicGuard({
      ...{ settingsOf, onCheckNotAllowed, lagMs: () => clock.lagMs },
      isKafkaTimeKnown: () => clock.isCompared,
      monotonicMs: () => clock.nowMs,
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

  it('lets the first events for a topic with CreateTime wait until the clocks are compared', async () => {
    const { send, clock, sink } = rig(createTime)
    Object.assign(clock, { lagMs: 0, isCompared: false })
    await expect(sink.send(batch)).rejects.toThrow(/compared with the clock of Kafka/)
    clock.isCompared = true
    await sink.send(batch)
    Object.assign(clock, { isCompared: false, nowMs: 16_000 })
    await sink.send(batch)
    expect(send).toHaveBeenCalledTimes(2)
  })

  it('lets the first events wait also when Kafka answers long after the start', async () => {
    const { send, settingsOf, clock, sink } = rig(createTime)
    Object.assign(clock, { lagMs: 0, isCompared: false })
    settingsOf.mockRejectedValueOnce(new Error('unavailable'))
    await expect(sink.send(batch)).rejects.toThrow(/unavailable/)
    clock.nowMs = HOUR_MS
    await expect(sink.send(batch)).rejects.toThrow(/compared with the clock of Kafka/)
    clock.nowMs += 16_000
    await sink.send(batch)
    expect(send).toHaveBeenCalledTimes(1)
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
  afterEach(() => vi.restoreAllMocks())

  /** An outbox with an old and a fresh reading, and a running bridge. */
  async function startOn(
    stack: AsyncDisposableStack,
    settings: Record<string, string>,
    ledgerSettings: Record<string, string> = { 'message.timestamp.type': 'LogAppendTime' },
  ) {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-guard-'))
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const topics = freshTopics()
    await createForeignTopic(sharedKafka(), settings, { topic: topics.readings })
    await createForeignTopic(sharedKafka(), ledgerSettings, { topic: topics.ledger })
    const box = stack.adopt(openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' }), opened =>
      opened.close(),
    )
    const old = { ...reading('lobby'), receivedAt: Date.now() - 8 * DAY_MS }
    box.commit({ readings: [old, reading('lobby')], deadLetters: [] })
    const bridge = await startBridge({ dir, kafka: sharedKafka(), topics })
    stack.defer(bridge.stop)
    const inKafka = async () => (await readTopic(sharedKafka(), topics.readings)).flat().length
    return { bridge, inKafka }
  }
  const weekOfSenderTime = { 'message.timestamp.type': 'CreateTime', 'retention.ms': '604800000' }
  const cureIn = (reason: string) => reason.match(/kafka-configs\.sh.*/)![0]
  const apply = async (cure: string) => {
    await using tools = await openKafkaTools([...sharedKafka().brokers])
    await tools.run(cure.replace('kafka-configs.sh', 'kafka-configs.sh $kafka'))
  }

  it.each([
    ['the ledger has the time of Kafka', undefined],
    ['no topic has the time of Kafka', weekOfSenderTime],
  ])(
    'sends events that waited for eight days to a topic with Kafka’s defaults; %s',
    async (_, ledger) => {
      await using stack = new AsyncDisposableStack()
      const { bridge, inKafka } = await startOn(stack, weekOfSenderTime, ledger)
      await vi.waitFor(() => expect(bridge.totals.delivered).toBe(2), 10_000)
      expect(await inKafka()).toBe(2)
    },
  )

  it.each<[string, Record<string, string>, number]>([
    ['the sender’s time, while the clock is 14 days behind', weekOfSenderTime, 14 * DAY_MS],
    ['compaction', { 'cleanup.policy': 'compact' }, 0],
  ])('holds events until the cure was applied: %s', async (_, settings, behindMs) => {
    await using stack = new AsyncDisposableStack()
    const rightNow = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => rightNow() - behindMs)
    const { bridge, inKafka } = await startOn(stack, settings)
    await vi.waitFor(() => expect(bridge.waitReasons.events).toMatch(/kafka-configs\.sh/), 10_000)
    // Notes are still delivered: they show that the gateway is alive.
    await vi.waitFor(() => expect(bridge.totals.notes).toBeGreaterThan(0), 10_000)
    expect(bridge.totals.delivered).toBe(0)
    expect(await inKafka()).toBe(0)
    await apply(cureIn(bridge.waitReasons.events!))
    await vi.waitFor(() => expect(bridge.totals.delivered).toBe(2), 10_000)
    expect(bridge.waitReasons.events).toBeNull()
    expect(await inKafka()).toBe(2)
    expect(bridge.uncheckedTopics).toEqual([])
  })

  it('sends as soon as the clock is set right', async () => {
    await using stack = new AsyncDisposableStack()
    const rightNow = Date.now
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => rightNow() - 14 * DAY_MS)
    const { bridge, inKafka } = await startOn(stack, weekOfSenderTime)
    await vi.waitFor(() => expect(bridge.waitReasons.events).toMatch(/1[34] days behind/), 10_000)
    clock.mockRestore()
    await vi.waitFor(() => expect(bridge.totals.delivered).toBe(2), 10_000)
    expect(await inKafka()).toBe(2)
  })
})
