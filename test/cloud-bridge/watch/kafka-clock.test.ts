import { expect, it } from 'vitest'
import { createKafkaClock } from '../../../cloud-bridge/watch/kafka-clock.ts'

const DAY_MS = 86_400_000

function rig() {
  const time = { nowMs: 10 * DAY_MS, monotonicMs: 0 }
  const clock = createKafkaClock(
    'ledger',
    () => time.nowMs,
    () => time.monotonicMs,
  )
  const stored = (topic: string, appendTimeMs: number | null) =>
    clock.stored({ topic, partition: 0, firstOffset: 0, count: 1, appendTimeMs })
  return { clock, time, stored }
}

it('knows how far this machine is behind Kafka, also after the clock was set', () => {
  const { clock, time, stored } = rig()
  expect(clock.lagMs()).toBe(0)
  stored('readings', 24 * DAY_MS)
  expect(clock.lagMs()).toBe(14 * DAY_MS)
  time.monotonicMs += DAY_MS
  time.nowMs += DAY_MS
  expect(clock.lagMs()).toBe(14 * DAY_MS)
  time.nowMs += 14 * DAY_MS
  expect(clock.lagMs()).toBe(0)
})

it('takes a clock that is ahead of Kafka for no lag', () => {
  const { clock, stored } = rig()
  stored('readings', 3 * DAY_MS)
  expect(clock.lagMs()).toBe(0)
})

it('is answered by any time of Kafka, and by the ledger also without a time', () => {
  const first = rig()
  first.stored('readings', null)
  expect(first.clock.isAnswered).toBe(false)
  first.stored('ledger', null)
  expect(first.clock.isAnswered).toBe(true)
  const second = rig()
  second.stored('readings', 1)
  expect(second.clock.isAnswered).toBe(true)
})
