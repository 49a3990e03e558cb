import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import { openCluster } from '../../cloud-bridge/kafka/platformatic/cluster.ts'
import { SinkUnavailable } from '../../cloud-bridge/ports/event-sink.ts'
import type { Cluster, ClusterNode } from '../setup/kafka/cluster.ts'
import { deliverAll, over } from './broker-faults.ts'
import type { Stage } from './stage.ts'

/** A cluster, and how the one who sends reaches it. */
export type ClusterAccess = { cluster: Cluster; kafka: KafkaOptions }

/** How the fault of one broker of three is played on all who send to them. */
export type ClusterScript = (stages: Stage[], on: ClusterAccess) => Promise<void>

type Plan = { replicas?: number; settings?: Record<string, string> }

export type ClusterFault = {
  /** What the topic is like; three copies unless it says otherwise. */
  plan: Plan
  script: ClusterScript
  /** Only these libraries can do it. */
  only?: readonly KafkaOptions['client'][]
}

/** What one of three brokers does to producers of a topic. */
export const clusterFaults: Record<string, ClusterFault> = {
  'the leader of a partition is killed (kill -9)': {
    plan: {},
    async script(stages, on) {
      await deliverAll(stages, 1)
      const leader = await leaderOf(on, stages[0]!.topic, 0)
      const killed = leader.kill().then(over(stages))
      await deliverAll(stages, 5)
      await killed
      await deliverAll(stages, 1)
      await leader.restart()
      await on.cluster.waitUntilComplete()
      await deliverAll(stages, 2)
    },
  },
  'one of three hangs (SIGSTOP), until Kafka does without it': {
    plan: {},
    async script(stages, on) {
      await deliverAll(stages, 1)
      await hanging(on, stages, async () => {
        over(stages)()
        await deliverAll(stages, 3)
      })
      await deliverAll(stages, 2)
    },
  },
  'one of three hangs, whose partitions are nowhere else: the others go on': {
    plan: { replicas: 1, settings: { 'min.insync.replicas': '1' } },
    // kafkajs connects anew after a failure, and not to a topic with a partition without leader.
    only: ['platformatic'],
    async script(stages, on) {
      await deliverAll(stages, 1)
      const apart = await hanging(on, stages, async () => {
        const set = await Promise.all(stages.map(untilApart))
        await Promise.all(stages.map((stage, at) => goOnWithout(stage, set[at]!.partitions)))
        return set
      })
      over(stages)()
      await Promise.all(apart.map(({ rest }) => rest()))
      await deliverAll(stages, 2)
    },
  },
  'too few replicas (NOT_ENOUGH_REPLICAS)': {
    plan: { settings: { 'min.insync.replicas': '3' } },
    async script(stages, on) {
      await deliverAll(stages, 1)
      const killed = on.cluster.nodes[2]!
      await killed.kill()
      const mended = sleep(3000)
        .then(killed.restart)
        .then(on.cluster.waitUntilComplete)
        .then(over(stages))
      await deliverAll(stages, 3)
      await mended
      await deliverAll(stages, 1)
    },
  },
}

/** Does it while the broker of the first partition hangs. */
async function hanging<T>(on: ClusterAccess, stages: Stage[], work: () => Promise<T>): Promise<T> {
  const stuck = await leaderOf(on, stages[0]!.topic, 0)
  stuck.suspend()
  try {
    return await work()
  } finally {
    stuck.resume()
    await on.cluster.waitUntilComplete()
  }
}

async function goOnWithout(stage: Stage, partitions: ReadonlySet<number>): Promise<void> {
  for (let count = 0; count < 5; count++) {
    const { topic, records } = stage.nextBatch()
    const free = records.filter(({ partition }) => !partitions.has(partition))
    await stage.deliver({ topic, records: free })
  }
}

/** Sends one batch until only some partitions are undecided, and sets these apart. */
async function untilApart({ sink, nextBatch, deliver: deliverThrough, ...stage }: Stage) {
  const batch = nextBatch()
  const all = new Set(batch.records.map(({ partition }) => partition)).size
  for (;;) {
    const failure = await sink.send(batch).then(
      () => null,
      error => error,
    )
    if (failure === null) throw new Error('the broker that hangs took its part')
    if (!(failure instanceof SinkUnavailable)) throw failure
    const { fates } = failure
    const open = batch.records.filter((_, index) => fates?.[index] === undefined)
    const partitions = new Set(open.map(({ partition }) => partition))
    if (partitions.size === 0 || partitions.size === all) continue
    const apart = sink.isolate(batch)
    stage.acknowledged(batch.records.filter((_, index) => fates![index] === null))
    const rest = async () => {
      await using own = apart.sink
      await deliverThrough(apart.batch, own)
    }
    return { partitions, rest }
  }
}

async function leaderOf(
  { cluster, kafka }: ClusterAccess,
  topic: string,
  partition: number,
): Promise<ClusterNode> {
  await using asking = openCluster(kafka)
  const { port } = (await asking.leadersOf(topic)).of(partition)!
  return cluster.nodes.find(node => node.port === port)!
}
