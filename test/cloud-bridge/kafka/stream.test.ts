import { Admin, Producer } from '@platformatic/kafka'
import { afterAll, beforeAll } from 'vitest'
import { openKafka } from '../../../cloud-bridge/kafka/kafka.ts'
import { clientOptions } from '../../../cloud-bridge/kafka/platformatic/configured.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import {
  type Compression,
  compressions,
  describeEventStream,
} from '../../contracts/event-stream.ts'
import { clients, describeWithKafka, freshTopic, kafkaAt, shared } from '../../setup/kafka.ts'

// Written by the library that knows every compression, and read by each.
const readable: Record<(typeof clients)[number], readonly Compression[]> = {
  kafkajs: ['none', 'gzip', 'zstd'],
  platformatic: compressions,
}

describeWithKafka('on a real Kafka', () => {
  let writer: Producer
  let admin: Admin
  beforeAll(() => {
    writer = new Producer({ ...clientOptions(shared()), serializers: {} })
    admin = new Admin(clientOptions(shared()))
  })
  afterAll(async () => {
    await writer?.close()
    await admin?.close()
  })

  for (const client of clients) {
    describeEventStream(`on ${client}`, readable[client], async () => {
      const { stream } = await openKafka({ ...shared(), client })
      const away = kafkaAt([`127.0.0.1:${await findFreePort()}`])
      return {
        stream,
        away: (await openKafka({ ...away, client })).stream,
        topic: partitions => freshTopic(shared(), partitions),
        async write(topic, records, compression = 'none') {
          const messages = records.map(({ headers = {}, ...rest }) => {
            const pairs = Object.entries(headers)
            const bytes = pairs.map(
              ([name, text]) => [Buffer.from(name), Buffer.from(text)] as const,
            )
            return { topic, ...rest, headers: new Map(bytes) }
          })
          await writer.send({ messages, compression, acks: -1 })
        },
        async deleteBefore(topic, partition, offset) {
          const partitions = [{ partition, offset: BigInt(offset) }]
          await admin.deleteRecords({ topics: [{ name: topic, partitions }] })
        },
      }
    })
  }
})
