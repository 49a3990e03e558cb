import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import type { Batch, EventSink } from '../../../cloud-bridge/ports/event-sink.ts'
import { record } from '../../contracts/event-sink.ts'
import { startMember, until } from '../../contracts/group-member.ts'
import { SESSION_MS } from '../../contracts/session.ts'
import { clients, describeWithKafka, freshTopic, openKafkaSink } from '../../setup/kafka/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/kafka/proxied-kafka.ts'

describeWithKafka('a group member during faults of Kafka', () => {
  let rig: ProxiedKafka
  beforeAll(async () => {
    rig = await startProxiedKafka()
  })
  afterAll(() => rig?.[Symbol.asyncDispose]())

  const write = async (options: KafkaOptions, topics: readonly string[], text: string) => {
    await using sink = await openKafkaSink(options)
    for (const topic of topics) {
      await sendUntilStored(sink, { topic, records: [0, 1].map(each => record(each, text)) })
    }
  }

  // One Kafka for both clients, because a start of Kafka takes longer than the rest of the test.
  it('continues after a crash, a hang and lost connections, and processes each record once', async () => {
    const topics = [await freshTopic(rig.direct, 2), await freshTopic(rig.direct, 2)] as const
    const groupIds = clients.map(client => `${client}-${randomUUID()}`)
    const join = async (client: (typeof clients)[number], index: number) => {
      const { group } = await createKafkaClient({ ...rig.proxied, client })
      return startMember(group, { groupId: groupIds[index]!, topics })
    }
    const members = await Promise.all(clients.map(join))
    const expected: string[] = []
    const expectProcessed = async (text: string) => {
      await write(rig.direct, topics, text)
      expected.push(
        ...topics.flatMap(topic => [0, 1].map(partition => `${topic} ${partition}: ${text}`)),
      )
      for (const { processed } of members) {
        await until(() => expect([...processed].sort()).toEqual([...expected].sort()), 40_000)
      }
    }
    try {
      await expectProcessed('before')
      await rig.kafka.kill()
      await sleep(SESSION_MS / 2)
      await rig.kafka.restart()
      await expectProcessed('after a crash')
      rig.kafka.suspend()
      await sleep(SESSION_MS + 2000)
      rig.kafka.resume()
      await expectProcessed('after a hang')
      rig.proxy.freezeOld()
      await expectProcessed('after connections were lost')
      for (const { unavailable } of members) expect(unavailable).not.toEqual([])
      // The first members still belong to the group, so each new member gets only one partition.
      const others = await Promise.all(clients.map(join))
      for (const { assigned } of [...members, ...others]) {
        await until(() => expect(assigned.at(-1)).toHaveLength(1))
      }
      await Promise.all(others.map(member => member.leave()))
    } finally {
      await Promise.all(members.map(member => member.leave()))
    }
  }, 150_000)
})

/**
 * Sends the identical batch until Kafka stores it, as the contract of a sink asks: a broker that
 * has just restarted may still be loading.
 */
async function sendUntilStored(sink: EventSink, batch: Batch): Promise<void> {
  await until(async () => {
    await sink.send(batch)
  }, 40_000)
}
