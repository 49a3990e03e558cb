import { afterAll, beforeAll, expect, it } from 'vitest'
import { fetchClusterMetadata } from '../../../simulators/kafka/cluster-metadata.ts'
import { record, textsIn } from '../../contracts/event-sink.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { describeWithKafka, freshTopic, kafkaAt, openKafkaSink, readTopic } from './kafka.ts'

describeWithKafka('a cluster of three', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  const brokersAt = async (port: number) => (await fetchClusterMetadata(port)).brokerIds.toSorted()

  it('is complete, works without one node, and is complete again', {
    timeout: 60_000,
  }, async () => {
    const kafka = kafkaAt(cluster.brokers)
    const [first, second, third] = cluster.nodes
    for (const { port } of cluster.nodes) expect(await brokersAt(port)).toEqual([1, 2, 3])
    const topic = await freshTopic(kafka, 3)
    await using sink = await openKafkaSink(kafka)
    const records = [0, 1, 2].map(partition => record(partition, `${partition}`))
    expect(await sink.send({ topic, records })).toEqual([null, null, null])
    await second!.kill()
    await expect.poll(() => brokersAt(third!.port), { timeout: 20_000 }).toEqual([1, 3])
    expect(textsIn(await readTopic(kafka, topic))).toEqual([['0'], ['1'], ['2']])
    first!.suspend()
    first!.resume()
    await second!.restart()
    await cluster.waitUntilComplete()
    for (const { port } of cluster.nodes) expect(await brokersAt(port)).toEqual([1, 2, 3])
  })
})
