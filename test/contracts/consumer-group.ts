import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { CannotConsume, type ConsumerGroup } from '../../cloud-bridge/ports/consumer-group.ts'
import type { OutgoingRecord } from '../../cloud-bridge/ports/event-sink.ts'
import type { ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { record } from './event-sink.ts'
import { startMember, until } from './group-member.ts'
import { SESSION_MS } from './session.ts'

/** A consumer group under test, and what a test needs to do around the group. */
export type GroupRig = {
  group: ConsumerGroup
  /** Creates an empty topic. */
  topic(partitions: number): Promise<string>
  write(topic: string, records: OutgoingRecord[]): Promise<void>
  /** Deletes all records of a partition before an offset. */
  deleteBefore(topic: string, partition: number, offset: number): Promise<void>
  /** Commits an offset for partition 0 of a group without members. */
  commit(groupId: string, topic: string, offset: number): Promise<void>
  /** The committed offsets by partition; partitions without a commit are left out. */
  committed(groupId: string, topic: string): Promise<Map<number, number>>
  /** Starts a member process and waits for its assignment; the returned function kills it. */
  startProcess(groupId: string, topics: readonly string[]): Promise<() => void>
}

const none: ReadonlyMap<number, number> = new Map()

/** The contract of the port ConsumerGroup, for every adapter. */
export function describeConsumerGroup(name: string, openRig: () => Promise<GroupRig>): void {
  const suite = `the consumer group ${name}`
  describe(suite, { concurrent: true, timeout: 60_000 }, () => {
    const numbered = (partition: number, from: number, count: number) =>
      Array.from({ length: count }, (_, index) => record(partition, `${from + index}`))
    const own = (processed: string[], topic: string, partition: number) =>
      processed.filter(text => text.startsWith(`${topic} ${partition}: `))
    const texts = (topic: string, partition: number, from: number, count: number) =>
      Array.from({ length: count }, (_, index) => `${topic} ${partition}: ${from + index}`)

    /** Opens a rig with two topics of `partitions` partitions each, and a new group id. */
    const open = async (partitions: number) => {
      const rig = await openRig()
      const topics = [await rig.topic(partitions), await rig.topic(partitions)] as const
      return { ...rig, topics, groupId: `group-${randomUUID()}` }
    }

    it('delivers all records to its only member, in order, from the offsets the member gives', async () => {
      const { group, topics, groupId, ...rig } = await open(3)
      const [live, backfill] = topics
      for (const topic of topics) {
        for (const partition of [0, 1, 2]) await rig.write(topic, numbered(partition, 0, 20))
      }
      // An offset that Kafka has for the group is ignored.
      await rig.commit(groupId, live, 17)
      const begin = new Map([
        [live, new Map([[0, 5]])],
        [backfill, new Map([[2, 19]])],
      ])
      await using member = startMember(group, { groupId, topics, onAssigned: async () => begin })
      await until(() => expect(member.processed).toHaveLength(15 + 20 + 20 + 20 + 20 + 1))
      await rig.write(live, numbered(1, 20, 30))
      await until(() => expect(own(member.processed, live, 1)).toEqual(texts(live, 1, 0, 50)))
      expect(own(member.processed, live, 0)).toEqual(texts(live, 0, 5, 15))
      expect(own(member.processed, backfill, 2)).toEqual(texts(backfill, 2, 19, 1))
      expect(member.assigned).toEqual([[0, 1, 2]])
    })

    it('commits processed offsets to Kafka, for lag monitoring', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      await rig.write(topics[0], [...numbered(0, 0, 7), ...numbered(1, 0, 3)])
      await using member = startMember(group, { groupId, topics })
      await until(() => expect(member.processed).toHaveLength(10))
      const offsets = new Map([
        [0, 7],
        [1, 3],
      ])
      await until(async () => expect(await rig.committed(groupId, topics[0])).toEqual(offsets))
      await rig.write(topics[0], numbered(1, 3, 1))
      await until(() => expect(member.processed).toHaveLength(11))
      await member.leave()
      expect((await rig.committed(groupId, topics[0])).get(1)).toBe(4)
    })

    it('assigns the same partition of each topic to the same member', async () => {
      const { group, topics, groupId, ...rig } = await open(4)
      await using member = startMember(group, { groupId, topics })
      await until(() => expect(member.assigned.at(-1)).toEqual([0, 1, 2, 3]))
      await using other = startMember(group, { groupId, topics })
      await until(() => {
        expect(member.assigned.at(-1)).toHaveLength(2)
        expect(other.assigned.at(-1)).toHaveLength(2)
      })
      expect([...member.assigned.at(-1)!, ...other.assigned.at(-1)!].sort()).toEqual([0, 1, 2, 3])
      for (const topic of topics) {
        for (const partition of [0, 1, 2, 3]) await rig.write(topic, numbered(partition, 0, 5))
      }
      await until(() => expect([...member.processed, ...other.processed]).toHaveLength(40))
      for (const { assigned, processed } of [member, other]) {
        for (const partition of assigned.at(-1)!) {
          for (const topic of topics) {
            expect(own(processed, topic, partition)).toEqual(texts(topic, partition, 0, 5))
          }
        }
      }
    })

    it('reassigns the partitions of a leaving member at once', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      // Longer than the test, so that the takeover cannot be the result of a session timeout.
      const sessionMs = 60_000
      await using member = startMember(group, { groupId, topics, sessionMs })
      await using other = startMember(group, { groupId, topics, sessionMs })
      await until(() =>
        expect([member, other].map(({ assigned }) => assigned.at(-1)?.length)).toEqual([1, 1]),
      )
      await member.leave()
      await until(() => expect(other.assigned.at(-1)).toEqual([0, 1]))
      await rig.write(topics[0], [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      await until(() => expect(other.processed).toHaveLength(6))
    })

    it('lets a member leave that has not joined yet', async () => {
      const { group, topics, groupId } = await open(1)
      await using member = startMember(group, { groupId, topics })
      const timeout = new Promise(resolve => setTimeout(resolve, SESSION_MS, 'timeout'))
      expect(await Promise.race([member.leave(), timeout])).toBeUndefined()
    })

    it('replaces a member that was killed', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const kill = await rig.startProcess(groupId, topics)
      await using member = startMember(group, { groupId, topics })
      await until(() => expect(member.assigned.at(-1)).toHaveLength(1))
      kill()
      await until(() => expect(member.assigned.at(-1)).toEqual([0, 1]))
      await rig.write(topics[1], [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      await until(() => expect(member.processed).toHaveLength(6))
    })

    it('keeps a partition whose records take longer than a session, and processes the others', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      await rig.write(topic, [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      const release = Promise.withResolvers<void>()
      const slow = async (_: string, [first]: readonly ReadRecord[]) => {
        if (first!.partition === 0) await release.promise
      }
      await using member = startMember(group, { groupId, topics, onRecords: slow })
      const endsAtMs = performance.now() + SESSION_MS + 2000
      let written = 3
      while (performance.now() < endsAtMs) {
        await rig.write(topic, [record(0, `${written}`), record(1, `${written}`)])
        written++
        await until(() => expect(own(member.processed, topic, 1)).toHaveLength(written))
        await new Promise(resolve => setTimeout(resolve, 200))
      }
      expect(own(member.processed, topic, 0)).toEqual([])
      release.resolve()
      for (const partition of [0, 1]) {
        await until(() =>
          expect(own(member.processed, topic, partition)).toEqual(
            texts(topic, partition, 0, written),
          ),
        )
      }
      expect(member.assigned).toEqual([[0, 1]])
    })

    it('delivers nothing of an ended assignment, and the rest to the new owner', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      const release = Promise.withResolvers<void>()
      const seen: { partition: number; isAborted: boolean }[] = []
      let running = 0
      let runningAtAssignment = 0
      await using member = startMember(group, {
        groupId,
        topics,
        async onAssigned() {
          runningAtAssignment = Math.max(runningAtAssignment, running)
          return new Map()
        },
        async onRecords(_, records, signal) {
          seen.push({ partition: records[0]!.partition, isAborted: signal.aborted })
          running++
          await Promise.race([release.promise, aborted(signal)])
          running--
        },
      })
      await rig.write(topic, [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      await until(() => expect(seen).toHaveLength(2))
      await using other = startMember(group, { groupId, topics })
      const [partition] = await until(() => {
        expect(other.assigned.at(-1)).toHaveLength(1)
        return other.assigned.at(-1)!
      })
      await until(() =>
        expect(own(other.processed, topic, partition!)).toEqual(texts(topic, partition!, 0, 3)),
      )
      release.resolve()
      await until(() =>
        expect(own(member.processed, topic, 1 - partition!)).toEqual(
          texts(topic, 1 - partition!, 0, 3),
        ),
      )
      expect(own(member.processed, topic, partition!)).toEqual([])
      expect(seen.every(({ isAborted }) => !isAborted)).toBe(true)
      expect(runningAtAssignment).toBe(0)
    })

    it.for(['onAssigned', 'onRecords'] as const)('ends with the error of %s', async callback => {
      const { group, topics, groupId, ...rig } = await open(1)
      await rig.write(topics[0], numbered(0, 0, 1))
      const fault = new Error('the disk is full')
      await using member = startMember(group, {
        groupId,
        topics,
        [callback]: async () => {
          throw fault
        },
      })
      await expect(member.ended).rejects.toBe(fault)
      expect(member.processed).toEqual([])
    })

    it('continues at the first offset that is left when the next records were deleted', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      await rig.write(topic, [...numbered(0, 0, 10), ...numbered(1, 0, 10)])
      await rig.deleteBefore(topic, 0, 6)
      await using member = startMember(group, { groupId, topics })
      await until(() => expect(member.processed).toHaveLength(14))
      expect(own(member.processed, topic, 0)).toEqual(texts(topic, 0, 6, 4))
    })

    it('continues after records that are deleted while it processes earlier ones', async () => {
      const { group, topics, groupId, ...rig } = await open(1)
      const [topic] = topics
      const release = Promise.withResolvers<void>()
      let isProcessing = false
      const onRecords = () => {
        isProcessing = true
        return release.promise
      }
      await using member = startMember(group, { groupId, topics, onRecords })
      await rig.write(topic, numbered(0, 0, 1))
      await until(() => expect(isProcessing).toBe(true))
      await rig.write(topic, numbered(0, 1, 1))
      // Waits until the second record is fetched; the records after it are not written yet.
      await new Promise(resolve => setTimeout(resolve, 1000))
      await rig.write(topic, numbered(0, 2, 8))
      await rig.deleteBefore(topic, 0, 7)
      release.resolve()
      const remaining = [...texts(topic, 0, 0, 2), ...texts(topic, 0, 7, 3)]
      await until(() => expect(member.processed).toEqual(remaining))
      expect(member.assigned).toHaveLength(1)
      expect(member.deleted).toEqual([{ topic, partition: 0, from: 2, to: 7 }])
    })

    it('reports the offsets that were deleted before they were read', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      await rig.write(topic, [...numbered(0, 0, 10), ...numbered(1, 0, 10)])
      await rig.deleteBefore(topic, 0, 6)
      const offsets = new Map([[0, 2]])
      const onAssigned = async () =>
        new Map(topics.map(name => [name, name === topic ? offsets : none]))
      await using member = startMember(group, { groupId, topics, onAssigned })
      await until(() => expect(member.processed).toHaveLength(14))
      expect(member.deleted).toEqual([{ topic, partition: 0, from: 2, to: 6 }])
    })

    it('refuses missing topics and topics with different partition counts, by name', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const missing = `missing-${randomUUID()}`
      const wide = await rig.topic(3)
      for (const other of [missing, wide]) {
        await using member = startMember(group, { groupId, topics: [topics[0], other] })
        const error = await member.ended.then(
          () => null,
          (cause: Error) => cause,
        )
        expect(error).toBeInstanceOf(CannotConsume)
        expect(error!.message).toContain(other)
        if (other === wide) expect(error!.message).toContain(topics[0])
      }
    })

    it('refuses to begin after the end of a topic', async () => {
      const { group, topics, groupId } = await open(1)
      const begin = new Map([[topics[0], new Map([[0, 5]])]])
      await using member = startMember(group, { groupId, topics, onAssigned: async () => begin })
      await expect(member.ended).rejects.toThrow(CannotConsume)
    })
  })
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
