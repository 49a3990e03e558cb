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
const fine: TopicConfig = {
  timestampType: 'LogAppendTime',
  retentionMs: MINUTE_MS,
  retentionBytes: null,
  cleanupPolicy: 'delete',
  maxMessageBytes: 1_048_588,
  minInsyncReplicas: 1,
}
const bySender: TopicConfig = { ...fine, timestampType: 'CreateTime' }
const batch = { topic: 't', records: [] }

describe('a topic', () => {
  it.each<[string, TopicConfig, number, RegExp | null]>([
    ['of Kafka’s time', fine, HOUR_MS, null],
    ['of the sender’s time, kept longer than what waits', bySender, MINUTE_MS, null],
    ['of the sender’s time, kept for ever', { ...bySender, retentionMs: null }, HOUR_MS, null],
    [
      'of the sender’s time, kept shorter than what waits',
      bySender,
      HOUR_MS,
      /^t keeps .*CreateTime\) for 60 s, .* 60 min old.*\. kafka-configs\.sh .*=LogAppendTime$/,
    ],
    [
      'that is compacted as well',
      { ...fine, cleanupPolicy: 'compact,delete' },
      0,
      /^t keeps the last record of each key alone .*\. kafka-configs\.sh .*cleanup\.policy=delete$/,
    ],
  ])('%s', (_, keeping, lag, said) => {
    const fault = retentionFault('t', keeping, lag)
    if (said) expect(fault).toMatch(said)
    else expect(fault).toBeNull()
  })

  it('is held as well against a clock that was set back, or is at 1970', () => {
    const nowMs = Date.UTC(2026, 5, 1)
    expect(timestampLagMs(5, nowMs)).toBe(5)
    expect(timestampLagMs(-HOUR_MS, nowMs)).toBe(HOUR_MS)
    expect(timestampLagMs(5, 1000)).toBeGreaterThan(50 * 365 * 24 * HOUR_MS)
  })

  it('tells times as a person reads them', () => {
    expect([999, 90_000, 7_200_000, 7 * 86_400_000].map(formatDuration)).toEqual([
      '999 ms',
      '90 s',
      '2 h',
      '7 days',
    ])
  })
})

describe('the guard', () => {
  const rig = (keeping: TopicSettings['keeping']) => {
    const send = vi.fn(async (_: Batch): Promise<null[]> => [])
    const settingsOf = vi.fn(async () => ({ partitions: 1, replicas: 1, keeping }))
    const onBlind = vi.fn()
    const clock = { nowMs: 0 }
    const guard = createTopicGuard({
      ...{ settingsOf, onCheckNotAllowed: onBlind, lagMs: () => HOUR_MS },
      nowMs: () => clock.nowMs,
    })
    return { send, settingsOf, onBlind, clock, sink: guard.guarding({ send, isolate: vi.fn() }) }
  }

  it('looks at first contact, and then every few minutes', async () => {
    const { send, settingsOf, clock, sink } = rig(fine)
    for (let sends = 0; sends < 3; sends++) await sink.send(batch)
    expect(settingsOf).toHaveBeenCalledTimes(1)
    clock.nowMs = 10 * MINUTE_MS
    await sink.send(batch)
    await sink.send(batch)
    expect(settingsOf).toHaveBeenCalledTimes(2)
    expect(send).toHaveBeenCalledTimes(5)
  })

  it('holds what changed meanwhile, and lets it go when it is mended', async () => {
    const { send, settingsOf, clock, sink } = rig(fine)
    const found = (keeping: TopicConfig) => ({ partitions: 1, replicas: 1, keeping })
    await sink.send(batch)
    settingsOf.mockResolvedValueOnce(found(bySender)).mockResolvedValueOnce(found(bySender))
    clock.nowMs = 10 * MINUTE_MS
    await sink.send(batch)
    await expect(sink.send(batch)).rejects.toThrow(SinkUnavailable)
    expect(send).toHaveBeenCalledTimes(2)
    await sink.send(batch)
    expect(send).toHaveBeenCalledTimes(3)
  })

  it('goes on without the right to look, and says so once', async () => {
    const { send, onBlind, clock, sink } = rig('not allowed')
    await sink.send(batch)
    clock.nowMs = 10 * MINUTE_MS
    await sink.send({ ...batch, topic: 'other' })
    expect(send).toHaveBeenCalledTimes(2)
    expect(onBlind.mock.calls).toEqual([['t']])
  })

  it('sends nothing before it could look, and goes on when Kafka is away later', async () => {
    const { send, settingsOf, clock, sink } = rig(fine)
    settingsOf.mockRejectedValueOnce(new Error('away'))
    await expect(sink.send(batch)).rejects.toThrow(new SinkUnavailable('t: away'))
    expect(send).not.toHaveBeenCalled()
    await sink.send(batch)
    settingsOf.mockRejectedValueOnce(new Error('away'))
    clock.nowMs = 10 * MINUTE_MS
    await sink.send(batch)
    expect(send).toHaveBeenCalledTimes(2)
  })
})

describeWithKafka('the bridge and a topic that Kafka would empty', () => {
  it.each<[string, Record<string, string>]>([
    ['the sender’s time', { 'message.timestamp.type': 'CreateTime', 'retention.ms': '60000' }],
    ['compaction', { 'cleanup.policy': 'compact' }],
  ])('holds what is old until the cure was followed: %s', async (_, settings) => {
    await using stack = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-guard-'))
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const topics = freshTopics()
    await createForeignTopic(sharedKafka(), settings, { topic: topics.readings })
    await createTopics(sharedKafka(), [{ topic: topics.ledger, partitions: 1 }])
    const box = stack.adopt(openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' }), one =>
      one.close(),
    )
    const old = { ...reading('lobby'), receivedAt: Date.now() - HOUR_MS }
    box.commit({ readings: [old, reading('lobby')], deadLetters: [] })
    const bridge = await startBridge({ dir, kafka: sharedKafka(), topics })
    stack.defer(bridge.stop)
    await vi.waitFor(() => expect(bridge.away.events).toMatch(/kafka-configs\.sh/), 10_000)
    const tools = stack.use(await openKafkaTools([...sharedKafka().brokers]))
    const cure = bridge.away.events!.match(/kafka-configs\.sh.*/)![0]
    // The ledger is not held: its notes say that the gateway is alive.
    await vi.waitFor(() => expect(bridge.totals.notes).toBeGreaterThan(0), 10_000)
    expect(bridge.totals.delivered).toBe(0)
    expect((await readTopic(sharedKafka(), topics.readings)).flat()).toEqual([])
    await tools.run(cure.replace('kafka-configs.sh', 'kafka-configs.sh $kafka'))
    await vi.waitFor(() => expect(bridge.totals.delivered).toBe(2), 10_000)
    expect(bridge.away.events).toBeNull()
    expect((await readTopic(sharedKafka(), topics.readings)).flat()).toHaveLength(2)
    expect(bridge.blind).toEqual([])
  })
})
