import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import { openCluster } from '../../cloud-bridge/kafka/platformatic/cluster.ts'
import { SinkUnavailable } from '../../cloud-bridge/ports/event-sink.ts'
import type { Cluster, ClusterNode } from '../setup/kafka/cluster.ts'
import { deliverAll, recordFaults } from './broker-faults.ts'
import type { Stage } from './stage.ts'

/** A cluster, and how a sink reaches the cluster. */
export type ClusterAccess = { cluster: Cluster; kafka: KafkaOptions }

/** Plays a fault of one broker of three on all sinks to the cluster. */
export type ClusterScript = (stages: Stage[], on: ClusterAccess) => Promise<void>

type Plan = { replicas?: number; settings?: Record<string, string> }

export type ClusterFault = {
  /** The topic; by default with three replicas. */
  plan: Plan
  script: ClusterScript
  /** The client libraries that handle the fault; default: all. */
  only?: readonly KafkaOptions['client'][]
}

/** Faults of one broker of three. */
export const clusterFaults: Record<string, ClusterFault> = {
  'the leader of a partition is killed (kill -9)': {
    plan: {},
    async script(stages, on) {
      await deliverAll(stages, 1)
      const leader = await leaderOf(on, stages[0]!.topic, 0)
      const killed = leader.kill().then(recordFaults(stages))
      await deliverAll(stages, 5)
      await killed
      await deliverAll(stages, 1)
      await leader.restart()
      await on.cluster.waitUntilComplete()
      await deliverAll(stages, 2)
    },
  },
  'one broker of three hangs (SIGSTOP) until Kafka elects other leaders': {
    plan: {},
    async script(stages, on) {
      await deliverAll(stages, 1)
      await hanging(on, stages, async () => {
        recordFaults(stages)()
        await deliverAll(stages, 3)
      })
      await deliverAll(stages, 2)
    },
  },
  'one broker of three hangs with the only replica of its partitions: the others continue': {
    plan: { replicas: 1, settings: { 'min.insync.replicas': '1' } },
    // kafkajs reconnects after a failure, which fails for a topic with a leaderless partition.
    only: ['platformatic'],
    async script(stages, on) {
      await deliverAll(stages, 1)
      const isolated = await hanging(on, stages, async () => {
        const stuck = await Promise.all(stages.map(isolateStuck))
        await Promise.all(
          stages.map((stage, index) => deliverWithout(stage, stuck[index]!.partitions)),
        )
        return stuck
      })
      recordFaults(stages)()
      await Promise.all(isolated.map(({ deliverRest }) => deliverRest()))
      await deliverAll(stages, 2)
    },
  },
  'too few replicas (NOT_ENOUGH_REPLICAS)': {
    plan: { settings: { 'min.insync.replicas': '3' } },
    async script(stages, on) {
      await deliverAll(stages, 1)
      const killed = on.cluster.nodes[2]!
      await killed.kill()
      const repaired = sleep(3000)
        .then(killed.restart)
        .then(on.cluster.waitUntilComplete)
        .then(recordFaults(stages))
      await deliverAll(stages, 3)
      await repaired
      await deliverAll(stages, 1)
    },
  },
}

/** Runs `work` while the leader of the first partition hangs. */
async function hanging<T>(on: ClusterAccess, stages: Stage[], work: () => Promise<T>): Promise<T> {
  const hung = await leaderOf(on, stages[0]!.topic, 0)
  hung.suspend()
  try {
    return await work()
  } finally {
    hung.resume()
    await on.cluster.waitUntilComplete()
  }
}

async function deliverWithout(stage: Stage, partitions: ReadonlySet<number>): Promise<void> {
  for (let count = 0; count < 5; count++) {
    const { topic, records } = stage.nextBatch()
    const others = records.filter(({ partition }) => !partitions.has(partition))
    await stage.deliver({ topic, records: others })
  }
}

/** Sends one batch until only some partitions are undecided, and isolates these. */
async function isolateStuck({ sink, nextBatch, deliver: deliverThrough, ...stage }: Stage) {
  const batch = nextBatch()
  const partitionCount = new Set(batch.records.map(({ partition }) => partition)).size
  for (;;) {
    const failure = await sink.send(batch).then(
      () => null,
      error => error,
    )
    if (failure === null)
      throw new Error('no fate is unknown: the broker that should hang acknowledged its records')
    if (!(failure instanceof SinkUnavailable)) throw failure
    const { fates } = failure
    const unknown = batch.records.filter((_, index) => fates?.[index] === undefined)
    const partitions = new Set(unknown.map(({ partition }) => partition))
    if (partitions.size === 0 || partitions.size === partitionCount) continue
    const isolated = sink.isolate(batch)
    stage.acknowledged(batch.records.filter((_, index) => fates![index] === null))
    const deliverRest = async () => {
      await using own = isolated.sink
      await deliverThrough(isolated.batch, own)
    }
    return { partitions, deliverRest }
  }
}

async function leaderOf(
  { cluster, kafka }: ClusterAccess,
  topic: string,
  partition: number,
): Promise<ClusterNode> {
  await using connected = openCluster(kafka)
  const { port } = (await connected.leadersOf(topic)).of(partition)!
  return cluster.nodes.find(node => node.port === port)!
}
