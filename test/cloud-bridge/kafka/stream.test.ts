import { Admin, Producer } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { clientOptions } from '../../../cloud-bridge/kafka/platformatic/configuration.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { expectedTexts, record, textsIn } from '../../contracts/event-sink.ts'
import {
  type Compression,
  compressions,
  describeEventStream,
} from '../../contracts/event-stream.ts'
import {
  clients,
  describeWithKafka,
  freshTopic,
  kafkaAt,
  openKafkaSink,
  readTopic,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'

// @platformatic/kafka writes every compression.
const readable: Record<(typeof clients)[number], readonly Compression[]> = {
  kafkajs: ['none', 'gzip', 'zstd'],
  platformatic: compressions,
}

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
    describeEventStream(`on ${client}`, readable[client], async () => {
      const { stream } = await createKafkaClient({ ...sharedKafka(), client })
      const unavailable = kafkaAt([`127.0.0.1:${await findFreePort()}`])
      return {
        stream,
        unavailable: (await createKafkaClient({ ...unavailable, client })).stream,
        topic: partitions => freshTopic(sharedKafka(), partitions),
        async write(topic, records, compression = 'none') {
          const messages = records.map(({ headers = {}, ...rest }) => {
            const pairs = Object.entries(headers)
            const encoded = pairs.map(
              ([name, text]) => [Buffer.from(name), Buffer.from(text)] as const,
            )
            return { topic, ...rest, headers: new Map(encoded) }
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

  describe.each(clients)('records sent through %s', sender => {
    it.each(['none', 'gzip', 'zstd'] as const)(
      'with compression %s can be read through each client',
      async compression => {
        const topic = await freshTopic(sharedKafka(), 2)
        await using sink = await openKafkaSink({ ...sharedKafka(), client: sender, compression })
        const headers = { 'content-type': 'application/avro' }
        const records = [0, 1, 0, 1].map((partition, index) => ({
          ...record(partition, `${index}`),
          headers,
        }))
        await sink.send({ topic, records })
        for (const reader of clients) {
          const found = await readTopic({ ...sharedKafka(), client: reader }, topic)
          expect(textsIn(found)).toEqual(expectedTexts(2, records))
          const [first] = found[1]!
          expect(first).toMatchObject({ key: records[1]!.key, offset: 0 })
          expect(first!.headers).toEqual({ 'content-type': Buffer.from('application/avro') })
        }
      },
    )
  })
})
