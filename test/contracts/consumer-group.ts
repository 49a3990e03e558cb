import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { CannotConsume, type ConsumerGroup } from '../../cloud-bridge/ports/consumer-group.ts'
import type { OutgoingRecord } from '../../cloud-bridge/ports/event-sink.ts'
import type { ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { record } from './event-sink.ts'
import { startMember, until } from './group-member.ts'
import { SESSION_MS } from './session.ts'

/** Groups to be tested, and what a test must be able to do around them. */
export type GroupRig = {
  group: ConsumerGroup
  /** Creates an empty topic. */
  topic(partitions: number): Promise<string>
  write(topic: string, records: OutgoingRecord[]): Promise<void>
  /** Deletes all records of a partition that are before an offset. */
  deleteBefore(topic: string, partition: number, offset: number): Promise<void>
  /** Tells Kafka how far a group without members is in partition 0. */
  commit(groupId: string, topic: string, offset: number): Promise<void>
  /** What Kafka was told, by partition; those without are left out. */
  committed(groupId: string, topic: string): Promise<Map<number, number>>
  /** A member in a process of its own that has these partitions now; gives what kills it. */
  startProcess(groupId: string, topics: readonly string[]): Promise<() => void>
}

/** The promise of the port ConsumerGroup, for every adapter. */
const none: ReadonlyMap<number, number> = new Map()

export function describeConsumerGroup(name: string, openRig: () => Promise<GroupRig>): void {
  const suite = `the consumer group ${name}`
  describe(suite, { concurrent: true, timeout: 60_000 }, () => {
    const numbered = (partition: number, from: number, count: number) =>
      Array.from({ length: count }, (_, index) => record(partition, `${from + index}`))
    const own = (taken: string[], topic: string, partition: number) =>
      taken.filter(one => one.startsWith(`${topic} ${partition}: `))
    const texts = (topic: string, partition: number, from: number, count: number) =>
      Array.from({ length: count }, (_, index) => `${topic} ${partition}: ${from + index}`)

    /** Two topics of so many partitions, and a group. */
    const open = async (partitions: number) => {
      const rig = await openRig()
      const topics = [await rig.topic(partitions), await rig.topic(partitions)] as const
      return { ...rig, topics, groupId: `group-${randomUUID()}` }
    }

    it('gives all to its one member, in order, from where the member says', async () => {
      const { group, topics, groupId, ...rig } = await open(3)
      const [live, behind] = topics
      for (const topic of topics) {
        for (const place of [0, 1, 2]) await rig.write(topic, numbered(place, 0, 20))
      }
      // Kafka's own opinion is not asked for.
      await rig.commit(groupId, live, 17)
      const begin = new Map([
        [live, new Map([[0, 5]])],
        [behind, new Map([[2, 19]])],
      ])
      await using one = startMember(group, { groupId, topics, onAssigned: async () => begin })
      await until(() => expect(one.processed).toHaveLength(15 + 20 + 20 + 20 + 20 + 1))
      await rig.write(live, numbered(1, 20, 30))
      await until(() => expect(own(one.processed, live, 1)).toEqual(texts(live, 1, 0, 50)))
      expect(own(one.processed, live, 0)).toEqual(texts(live, 0, 5, 15))
      expect(own(one.processed, behind, 2)).toEqual(texts(behind, 2, 19, 1))
      expect(one.assigned).toEqual([[0, 1, 2]])
    })

    it('tells Kafka what was done, for who asks about lag', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      await rig.write(topics[0], [...numbered(0, 0, 7), ...numbered(1, 0, 3)])
      await using one = startMember(group, { groupId, topics })
      await until(() => expect(one.processed).toHaveLength(10))
      const done = new Map([
        [0, 7],
        [1, 3],
      ])
      await until(async () => expect(await rig.committed(groupId, topics[0])).toEqual(done))
      await rig.write(topics[0], numbered(1, 3, 1))
      await until(() => expect(one.processed).toHaveLength(11))
      await one.leave()
      expect((await rig.committed(groupId, topics[0])).get(1)).toBe(4)
    })

    it('shares out by partitions, the same one of each topic to the same member', async () => {
      const { group, topics, groupId, ...rig } = await open(4)
      await using one = startMember(group, { groupId, topics })
      await until(() => expect(one.assigned.at(-1)).toEqual([0, 1, 2, 3]))
      await using other = startMember(group, { groupId, topics })
      await until(() => {
        expect(one.assigned.at(-1)).toHaveLength(2)
        expect(other.assigned.at(-1)).toHaveLength(2)
      })
      expect([...one.assigned.at(-1)!, ...other.assigned.at(-1)!].sort()).toEqual([0, 1, 2, 3])
      for (const topic of topics) {
        for (const place of [0, 1, 2, 3]) await rig.write(topic, numbered(place, 0, 5))
      }
      await until(() => expect([...one.processed, ...other.processed]).toHaveLength(40))
      for (const member of [one, other]) {
        for (const place of member.assigned.at(-1)!) {
          for (const topic of topics) {
            expect(own(member.processed, topic, place)).toEqual(texts(topic, place, 0, 5))
          }
        }
      }
    })

    it('hands over at once what a member leaves', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      // Longer than the test: nobody waits for a session to end.
      const sessionMs = 60_000
      await using one = startMember(group, { groupId, topics, sessionMs })
      await using other = startMember(group, { groupId, topics, sessionMs })
      await until(() =>
        expect([one, other].map(({ assigned }) => assigned.at(-1)?.length)).toEqual([1, 1]),
      )
      await one.leave()
      await until(() => expect(other.assigned.at(-1)).toEqual([0, 1]))
      await rig.write(topics[0], [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      await until(() => expect(other.processed).toHaveLength(6))
    })

    it('replaces a member that was killed', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const kill = await rig.startProcess(groupId, topics)
      await using one = startMember(group, { groupId, topics })
      await until(() => expect(one.assigned.at(-1)).toHaveLength(1))
      kill()
      await until(() => expect(one.assigned.at(-1)).toEqual([0, 1]))
      await rig.write(topics[1], [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      await until(() => expect(one.processed).toHaveLength(6))
    })

    it('keeps what is worked on for longer than a session, and goes on beside it', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      await rig.write(topic, [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      const release = Promise.withResolvers<void>()
      const slow = async (_: string, [first]: readonly ReadRecord[]) => {
        if (first!.partition === 0) await release.promise
      }
      await using one = startMember(group, { groupId, topics, onRecords: slow })
      const endsAtMs = performance.now() + SESSION_MS + 2000
      let written = 3
      while (performance.now() < endsAtMs) {
        await rig.write(topic, [record(0, `${written}`), record(1, `${written}`)])
        written++
        await until(() => expect(own(one.processed, topic, 1)).toHaveLength(written))
        await new Promise(resolve => setTimeout(resolve, 200))
      }
      expect(own(one.processed, topic, 0)).toEqual([])
      release.resolve()
      for (const place of [0, 1]) {
        await until(() =>
          expect(own(one.processed, topic, place)).toEqual(texts(topic, place, 0, written)),
        )
      }
      expect(one.assigned).toEqual([[0, 1]])
    })

    it('gives nothing more of an assignment that is over, and the rest to who has it', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      const hold = Promise.withResolvers<void>()
      const seen: { partition: number; wasOver: boolean }[] = []
      let running = 0
      let runningAtAssignment = 0
      await using one = startMember(group, {
        groupId,
        topics,
        async onAssigned() {
          runningAtAssignment = Math.max(runningAtAssignment, running)
          return new Map()
        },
        async onRecords(_, records, signal) {
          seen.push({ partition: records[0]!.partition, wasOver: signal.aborted })
          running++
          await Promise.race([hold.promise, aborted(signal)])
          running--
        },
      })
      await rig.write(topic, [...numbered(0, 0, 3), ...numbered(1, 0, 3)])
      await until(() => expect(seen).toHaveLength(2))
      await using other = startMember(group, { groupId, topics })
      const [place] = await until(() => {
        expect(other.assigned.at(-1)).toHaveLength(1)
        return other.assigned.at(-1)!
      })
      await until(() =>
        expect(own(other.processed, topic, place!)).toEqual(texts(topic, place!, 0, 3)),
      )
      hold.resolve()
      await until(() =>
        expect(own(one.processed, topic, 1 - place!)).toEqual(texts(topic, 1 - place!, 0, 3)),
      )
      expect(own(one.processed, topic, place!)).toEqual([])
      expect(seen.every(({ wasOver }) => !wasOver)).toBe(true)
      expect(runningAtAssignment).toBe(0)
    })

    it.for(['onAssigned', 'onRecords'] as const)('ends with what %s rejects with', async what => {
      const { group, topics, groupId, ...rig } = await open(1)
      await rig.write(topics[0], numbered(0, 0, 1))
      const fault = new Error('the disk is full')
      await using one = startMember(group, {
        groupId,
        topics,
        [what]: async () => {
          throw fault
        },
      })
      await expect(one.ended).rejects.toBe(fault)
      expect(one.processed).toEqual([])
    })

    it('goes on with what is there when what was to come was deleted', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      await rig.write(topic, [...numbered(0, 0, 10), ...numbered(1, 0, 10)])
      await rig.deleteBefore(topic, 0, 6)
      await using one = startMember(group, { groupId, topics })
      await until(() => expect(one.processed).toHaveLength(14))
      expect(own(one.processed, topic, 0)).toEqual(texts(topic, 0, 6, 4))
    })

    it('goes on behind what is deleted while it works', async () => {
      const { group, topics, groupId, ...rig } = await open(1)
      const [topic] = topics
      const release = Promise.withResolvers<void>()
      let isHeld = false
      const onRecords = () => {
        isHeld = true
        return release.promise
      }
      await using one = startMember(group, { groupId, topics, onRecords })
      await rig.write(topic, numbered(0, 0, 1))
      await until(() => expect(isHeld).toBe(true))
      await rig.write(topic, numbered(0, 1, 1))
      // So that nothing behind it is read ahead.
      await new Promise(resolve => setTimeout(resolve, 1000))
      await rig.write(topic, numbered(0, 2, 8))
      await rig.deleteBefore(topic, 0, 7)
      release.resolve()
      const left = [...texts(topic, 0, 0, 2), ...texts(topic, 0, 7, 3)]
      await until(() => expect(one.processed).toEqual(left))
      expect(one.assigned).toHaveLength(1)
      expect(one.deleted).toEqual([{ topic, partition: 0, from: 2, to: 7 }])
    })

    it('tells what was deleted of what was to come', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const [topic] = topics
      await rig.write(topic, [...numbered(0, 0, 10), ...numbered(1, 0, 10)])
      await rig.deleteBefore(topic, 0, 6)
      const places = new Map([[0, 2]])
      const onAssigned = async () =>
        new Map(topics.map(one => [one, one === topic ? places : none]))
      await using one = startMember(group, { groupId, topics, onAssigned })
      await until(() => expect(one.processed).toHaveLength(14))
      expect(one.deleted).toEqual([{ topic, partition: 0, from: 2, to: 6 }])
    })

    it('refuses topics that are not there, or not of one size, by name', async () => {
      const { group, topics, groupId, ...rig } = await open(2)
      const missing = `missing-${randomUUID()}`
      const wide = await rig.topic(3)
      for (const other of [missing, wide]) {
        await using one = startMember(group, { groupId, topics: [topics[0], other] })
        const error = await one.ended.then(
          () => null,
          (cause: Error) => cause,
        )
        expect(error).toBeInstanceOf(CannotConsume)
        expect(error!.message).toContain(other)
        if (other === wide) expect(error!.message).toContain(topics[0])
      }
    })

    it('refuses to go on behind the end of a topic', async () => {
      const { group, topics, groupId } = await open(1)
      const begin = new Map([[topics[0], new Map([[0, 5]])]])
      await using one = startMember(group, { groupId, topics, onAssigned: async () => begin })
      await expect(one.ended).rejects.toThrow(CannotConsume)
    })
  })
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
