import { afterAll, beforeAll, expect, it } from 'vitest'
import { clusterFaults } from '../../faults/cluster-faults.ts'
import { playFault } from '../../faults/stage.ts'
import { type Cluster, startCluster } from '../../setup/kafka/cluster.ts'
import { clients, describeWithKafka, kafkaAt } from '../../setup/kafka/kafka.ts'
import { createTopicWith } from '../../setup/kafka/topic-settings.ts'

const PARTITIONS = 6
const REQUEST_TIMEOUT_MS = 2000

describeWithKafka('the sink during faults of one broker of three', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(() => cluster?.[Symbol.asyncDispose]())

  // All client libraries at once, because each fault takes a start of a broker.
  it.each(Object.entries(clusterFaults))('%s', { timeout: 120_000 }, async (_, fault) => {
    const kafka = kafkaAt(cluster.brokers, REQUEST_TIMEOUT_MS)
    const routes = (fault.only ?? clients).map(async client => {
      const topic = await createTopicWith(kafka, { partitions: PARTITIONS, ...fault.plan })
      return { topic, partitions: PARTITIONS, sending: { ...kafka, client }, reading: kafka }
    })
    const outcomes = await playFault(await Promise.all(routes), stages =>
      fault.script(stages, { cluster, kafka }),
    )
    // kafkajs may write records twice that one broker stored while another did not respond.
    expect(outcomes).toMatchObject(outcomes.map(() => ({ lost: 0, inversions: 0 })))
  })
})
