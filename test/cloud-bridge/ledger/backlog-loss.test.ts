import { expect, it } from 'vitest'
import { createMemoryTopics, EPOCH, heads, INBOX, OUTBOX } from './memory-topics.ts'

const range = { store: OUTBOX, from: 11, to: 20, why: 'backlog' }
const ofInbox = { store: INBOX, origin: 'inbox' }

/** Events 1 to 10 and 21 to 30 are in the readings topic, 11 to 20 in the backfill topic. */
function topicsWithBacklog() {
  const topics = createMemoryTopics()
  topics.note(1, 'epoch', EPOCH)
  for (let sequence = 1; sequence <= 10; sequence++) topics.event(sequence)
  topics.note(1, 'behind', { ...range, topic: 'b', partitions: 1, zones: null }, ofInbox)
  for (let sequence = 11; sequence <= 20; sequence++) topics.event(sequence, 'backfill')
  topics.note(2, 'caught up', { ...range, behind: 1 }, ofInbox)
  topics.wait(300_000)
  for (let sequence = 21; sequence <= 30; sequence++) topics.event(sequence)
  topics.note(2, 'heads', heads(30))
  return topics
}

it('the retention of the readings topic does not excuse a backlog that its own topic lost', async () => {
  const topics = topicsWithBacklog()
  topics.recreate('backfill')
  expect(await topics.verify()).toMatchObject({ code: 1, missing: 10, expired: 0 })
  topics.expire('readings', 15)
  expect(await topics.verify()).toMatchObject({ code: 1, missing: 10, expired: 15 })
  topics.expire('readings', 4)
  expect(await topics.verify()).toMatchObject({ code: 1, missing: 10, expired: 19 })
  topics.recreate('backfill', true)
  expect(await topics.verify()).toMatchObject({ code: 1, missing: 10, expired: 19 })
})

it('the retention of the backfill topic excuses what it may have deleted of a backlog', async () => {
  const topics = topicsWithBacklog()
  topics.expire('backfill', 4)
  expect(await topics.verify()).toMatchObject({ code: 0, missing: 0, expired: 4 })
  topics.expire('readings', 12)
  expect(await topics.verify()).toMatchObject({ code: 0, missing: 0, expired: 16 })
  topics.expire('backfill', 6)
  expect(await topics.verify()).toMatchObject({ code: 0, missing: 0, expired: 22 })
})

it('a backlog of another branch says nothing about the topic of an event', async () => {
  const topics = createMemoryTopics()
  topics.note(1, 'epoch', EPOCH)
  for (let sequence = 1; sequence <= 20; sequence++) topics.event(sequence)
  const other = { ...ofInbox, run: 9 }
  topics.note(1, 'behind', { ...range, topic: 'b', partitions: 1, zones: null }, other)
  topics.note(2, 'caught up', { ...range, behind: 1 }, other)
  topics.wait(300_000)
  for (let sequence = 21; sequence <= 30; sequence++) topics.event(sequence)
  topics.note(2, 'heads', heads(30))
  topics.expire('readings', 25)
  expect(await topics.verify()).toMatchObject({ missing: 0, expired: 25 })
})
