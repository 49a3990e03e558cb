import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Admin, Producer } from '@platformatic/kafka'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { clientOptions } from '../../../cloud-bridge/kafka/platformatic/configuration.ts'
import { killGroup, spawnGuarded } from '../../../simulators/processes/supervisor.ts'
import { describeConsumerGroup } from '../../contracts/consumer-group.ts'
import { startMember, until } from '../../contracts/group-member.ts'
import { clients, describeWithKafka, freshTopic, sharedKafka } from '../../setup/kafka/kafka.ts'

describeWithKafka('on a real Kafka', () => {
  let writer: Producer
  let admin: Admin
  beforeAll(() => {
    writer = new Producer({ ...clientOptions(sharedKafka()), serializers: {} })
    admin = new Admin(clientOptions(sharedKafka()))
  })
  afterAll(async () => {
    await writer?.close()
    await admin?.close()
  })

  for (const client of clients) {
    describeConsumerGroup(`on ${client}`, async () => {
      const options: KafkaOptions = { ...sharedKafka(), client }
      const { group } = await createKafkaClient(options)
      return {
        group,
        topic: partitions => freshTopic(sharedKafka(), partitions),
        async write(topic, records) {
          const messages = records.map(({ partition, key, value }) => ({
            topic,
            partition,
            key,
            value,
          }))
          await writer.send({ messages, acks: -1 })
        },
        async deleteBefore(topic, partition, offset) {
          const partitions = [{ partition, offset: BigInt(offset) }]
          await admin.deleteRecords({ topics: [{ name: topic, partitions }] })
        },
        async commit(groupId, topic, offset) {
          const partitionOffsets = [{ partition: 0, offset: BigInt(offset) }]
          await admin.alterConsumerGroupOffsets({
            groupId,
            topics: [{ name: topic, partitionOffsets }],
          })
        },
        async committed(groupId, topic) {
          const [listed] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
          const partitions = listed!.topics.find(({ name }) => name === topic)?.partitions ?? []
          const committed = partitions.filter(({ committedOffset }) => committedOffset >= 0n)
          return new Map(
            committed.map(({ partitionIndex, committedOffset }) => [
              partitionIndex,
              Number(committedOffset),
            ]),
          )
        },
        async startProcess(groupId, topics) {
          const file = join(import.meta.dirname, 'group-process.ts')
          const args = [file, JSON.stringify([options, groupId, topics])]
          const stdio = ['ignore', 'pipe', 'inherit'] as const
          const child = await spawnGuarded(process.execPath, args, { stdio: [...stdio] })
          await once(createInterface({ input: child.stdout! }), 'line')
          return () => killGroup(child, 'SIGKILL')
        },
      }
    })
  }

  it('has members through different client libraries', async () => {
    const topics = [await freshTopic(sharedKafka(), 4)]
    const groupId = `group-${randomUUID()}`
    const groups = clients.map(
      async client => (await createKafkaClient({ ...sharedKafka(), client })).group,
    )
    const [first, second] = await Promise.all(groups)
    for (const pair of [
      [first!, second!],
      [second!, first!],
    ]) {
      // The first member is the group leader, and assigns for both.
      await using leader = startMember(pair[0]!, { groupId, topics })
      await until(() => expect(leader.assigned.at(-1)).toEqual([0, 1, 2, 3]))
      await using other = startMember(pair[1]!, { groupId, topics })
      await until(() => {
        expect(leader.assigned.at(-1)).toHaveLength(2)
        expect(other.assigned.at(-1)).toHaveLength(2)
      })
      expect([...leader.assigned.at(-1)!, ...other.assigned.at(-1)!].sort()).toEqual([0, 1, 2, 3])
    }
  })
})
