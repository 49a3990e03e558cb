import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { startLocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import { record } from '../../contracts/event-sink.ts'
import { cacheDir, describeWithKafka } from '../../setup/kafka/java.ts'
import { clients, createTopics, kafkaAt } from '../../setup/kafka/kafka.ts'

describeWithKafka('a Kafka that advertises a name that does not resolve', () => {
  const topic = 'readings'
  let stack: AsyncDisposableStack
  let address: string
  beforeAll(async () => {
    await using starting = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-advertised-'))
    starting.defer(() => rm(dir, { recursive: true, force: true }))
    const port = await findFreePort()
    address = `127.0.0.1:${port}`
    const options = { dir, port, cacheDir }
    const right = await startLocalKafka(options)
    await createTopics(kafkaAt([address]), [{ topic, partitions: 1 }])
    await right.stop()
    const properties = { 'advertised.listeners': `PLAINTEXT://kafka-1.plant.invalid:${port}` }
    starting.use(await startLocalKafka({ ...options, properties }))
    stack = starting.move()
  }, 120_000)
  afterAll(() => stack?.disposeAsync())

  it.each(clients)(
    'is named with both addresses, through %s',
    { timeout: 60_000 },
    async client => {
      const { openSink } = await createKafkaClient({ ...kafkaAt([address], 2000), client })
      await using sink = openSink()
      const batch = { topic, records: [record(0, 'a')] }
      const port = address.split(':')[1]
      // A Kafka that has just started answers for a moment that its coordinator is loading.
      await vi.waitFor(async () => {
        const { message } = await sink.send(batch).catch(error => error)
        expect(message).toMatch(/advertised\.listeners/)
        expect(message).toContain(`kafka-1.plant.invalid:${port}`)
        expect(message).toContain(`Kafka at ${address} (kafka.brokers)`)
      }, 30_000)
    },
  )
})
