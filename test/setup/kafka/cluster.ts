import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchClusterMetadata } from '../../../simulators/kafka/cluster-metadata.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { fetchKafkaJars } from '../../../simulators/kafka/jars.ts'
import {
  type LocalKafka,
  newClusterId,
  startLocalKafka,
} from '../../../simulators/kafka/local-kafka.ts'
import { cacheDir } from './java.ts'
import { waitForProducerIds } from './producer-ids.ts'

const NODES = 3
const POLL_MS = 50
const COMPLETE_WITHIN_MS = 30_000

/** A node of a cluster; `id` is its broker id. */
export type ClusterNode = Pick<LocalKafka, 'kill' | 'restart' | 'suspend' | 'resume'> & {
  readonly id: number
  readonly port: number
}

export type Cluster = AsyncDisposable & {
  readonly brokers: string[]
  readonly nodes: ClusterNode[]
  /** Resolves when every node lists all three nodes. Rejects after 30 s. */
  waitUntilComplete(): Promise<void>
}

/** By default a topic has a replica on every node, and two in-sync replicas acknowledge. */
const properties = {
  'default.replication.factor': NODES,
  'min.insync.replicas': 2,
  'offsets.topic.replication.factor': NODES,
  'transaction.state.log.replication.factor': NODES,
  'transaction.state.log.min.isr': 2,
}

/**
 * Starts a Kafka of three nodes and waits until every node lists all three. Topics and the cluster
 * itself tolerate one missing node. `restart()` of a node resolves when the node is back; the other
 * nodes may see it later: wait for `waitUntilComplete()`. Disposing the cluster deletes its data.
 */
export async function startCluster(): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-cluster-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  // Fetched once here; otherwise each node would fetch them.
  await fetchKafkaJars({ cacheDir })
  const clusterId = newClusterId()
  const [ports, controllerPorts] = [await freePorts(), await freePorts()]
  const starting = ports.map(async (port, index) => {
    const clusterNode = { clusterId, nodeId: index + 1, controllerPorts }
    const options = { dir: join(dir, `${index + 1}`), port, cacheDir, clusterNode, properties }
    const node = await startLocalKafka(options)
    stack.defer(() => node[Symbol.asyncDispose]())
    return node
  })
  await Promise.allSettled(starting)
  const started = await Promise.all(starting)
  // Killed, because nodes that shut down in order wait for each other.
  stack.defer(async () => void (await Promise.all(started.map(node => node.kill()))))
  const waitUntilComplete = () => untilComplete(ports)
  const brokers = ports.map(port => `127.0.0.1:${port}`)
  await waitUntilComplete()
  await waitForProducerIds(brokers)
  const resources = stack.move()
  return {
    brokers,
    nodes: started.map((node, index) => ({ ...nodeOf(node), id: index + 1, port: ports[index]! })),
    waitUntilComplete,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

const nodeOf = ({ kill, restart, suspend, resume }: LocalKafka) => ({
  kill,
  restart,
  suspend,
  resume,
})

/** Waits until each node lists all nodes; retries nodes that do not respond yet. */
async function untilComplete(ports: number[]): Promise<void> {
  const deadlineMs = performance.now() + COMPLETE_WITHIN_MS
  for (const port of ports) {
    while ((await brokerCountAt(port)) < NODES) {
      if (performance.now() > deadlineMs)
        throw new Error(`the node at port ${port} does not list all nodes in time`)
      await sleep(POLL_MS)
    }
  }
}

const brokerCountAt = (port: number) =>
  fetchClusterMetadata(port).then(
    ({ brokerIds }) => brokerIds.length,
    () => 0,
  )

async function freePorts(): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < NODES) ports.add(await findFreePort())
  return [...ports]
}
