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

const NODES = 3
const LOOK_AGAIN_MS = 50
const KNOWN_WITHIN_MS = 30_000

/** A node of a cluster; `id` is the number by which topics name their leaders. */
export type ClusterNode = Pick<LocalKafka, 'kill' | 'restart' | 'suspend' | 'resume'> & {
  readonly id: number
  readonly port: number
}

export type Cluster = AsyncDisposable & {
  readonly brokers: string[]
  readonly nodes: ClusterNode[]
  /** Promise: each node that runs lists all three. Rejects after 30 s. */
  waitUntilComplete(): Promise<void>
}

/** Unless a topic says otherwise it is on every node, and two of them must have what is written. */
const properties = {
  'default.replication.factor': NODES,
  'min.insync.replicas': 2,
  'offsets.topic.replication.factor': NODES,
  'transaction.state.log.replication.factor': NODES,
  'transaction.state.log.min.isr': 2,
}

/**
 * Promise: a Kafka of three nodes, each of which lists three. One may be missing, for topics and
 * for the cluster itself. `restart()` of a node resolves when that one is back; wait for `whole()`
 * if the others have to know of it too. Its data is gone afterwards.
 */
export async function startCluster(): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-cluster-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  // once, or all three would
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
  // At once, because nodes that end in order wait for each other, and nobody wants their data.
  stack.defer(async () => void (await Promise.all(started.map(node => node.kill()))))
  const whole = () => untilWhole(ports)
  await whole()
  const all = stack.move()
  return {
    brokers: ports.map(port => `127.0.0.1:${port}`),
    nodes: started.map((node, index) => ({ ...nodeOf(node), id: index + 1, port: ports[index]! })),
    waitUntilComplete: whole,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

const nodeOf = ({ kill, restart, suspend, resume }: LocalKafka) => ({
  kill,
  restart,
  suspend,
  resume,
})

/** A node that does not answer is asked again: it may be about to. */
async function untilWhole(ports: number[]): Promise<void> {
  const giveUpAtMs = performance.now() + KNOWN_WITHIN_MS
  for (const port of ports) {
    while ((await knownTo(port)) < NODES) {
      if (performance.now() > giveUpAtMs) throw new Error(`port ${port} does not list all nodes`)
      await sleep(LOOK_AGAIN_MS)
    }
  }
}

const knownTo = (port: number) =>
  fetchClusterMetadata(port).then(
    ({ brokerIds }) => brokerIds.length,
    () => 0,
  )

async function freePorts(): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < NODES) ports.add(await findFreePort())
  return [...ports]
}
