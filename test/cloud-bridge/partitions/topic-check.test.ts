import { describe, expect, it } from 'vitest'
import { NoSuchTopic } from '../../../cloud-bridge/kafka/client.ts'
import { explainUnavailable, topicFault } from '../../../cloud-bridge/partitions/topic-check.ts'
import { SinkUnavailable } from '../../../cloud-bridge/ports/event-sink.ts'

const batch = { topic: 'backfill', records: [] }

describe('the backfill topic', () => {
  it('has a fault only when it does not exist or has too few partitions', async () => {
    expect(await topicFault('b', 3, async () => 3)).toBe(null)
    expect(await topicFault('b', 3, async () => 4)).toBe(null)
    expect(await topicFault('b', 3, async () => 2)).toMatch(/b has too few partitions, 2 and not 3/)
    const missing = () => Promise.reject(new NoSuchTopic())
    expect(await topicFault('b', 3, missing)).toMatch(/no such topic.*--create.*--partitions 3/)
    const unavailable = () => Promise.reject(new Error('unavailable'))
    await expect(topicFault('b', 3, unavailable)).rejects.toThrow('unavailable')
  })

  it('has its fault named only when the fault is the reason', async () => {
    const unavailable = async () => {
      throw new SinkUnavailable('no leader')
    }
    const sendTo = (
      fault: () => Promise<string | null>,
      send: () => Promise<never> = unavailable,
    ) => explainUnavailable({ send }, fault).send(batch)
    await expect(sendTo(async () => 'too few')).rejects.toThrow(new SinkUnavailable('too few'))
    await expect(sendTo(async () => null)).rejects.toThrow(new SinkUnavailable('no leader'))
    const unknown = () => Promise.reject(new Error('unavailable'))
    await expect(sendTo(unknown)).rejects.toThrow(new SinkUnavailable('no leader'))
    const bug = () => Promise.reject(new TypeError('bug'))
    await expect(sendTo(async () => 'too few', bug)).rejects.toThrow(new TypeError('bug'))
    const sink = explainUnavailable({ send: async () => [null] }, async () => 'too few')
    expect(await sink.send(batch)).toEqual([null])
  })
})
