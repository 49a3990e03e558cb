// The settings of the local broker, each with its reason. Times are measured on Kafka 4.3.1.

export type BrokerSettings = {
  port: number
  controllerPort: number
  /**
   * Relative to the broker's folder: such a path needs no escaping, and the folder can be moved.
   */
  dataDir: string
} & ExtraBrokerSettings

/** Settings beyond those of a single node with one plain listener. */
export type ExtraBrokerSettings = {
  listeners?: Listener[] | undefined
  clusterNode?: ClusterNode | undefined
  /** Kafka settings by name; they override the settings of the same name in this file. */
  properties?: Record<string, string | number | boolean> | undefined
}

/** An additional listener on 127.0.0.1. */
export type Listener = {
  /** In capitals, such as SASL_SSL. */
  name: string
  port: number
  protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'
  /**
   * The port that the broker advertises to clients, such as the port of a proxy; by default the
   * listener's own port.
   */
  advertisedPort?: number
}

/** A node of a cluster in which each node is broker and controller in one. */
export type ClusterNode = {
  /** The id of the cluster: 16 random bytes in base64url. */
  clusterId: string
  /** The number of the node, from 1. The first of controllerPorts belongs to node 1. */
  nodeId: number
  /** The ports on which the controllers of all nodes listen. */
  controllerPorts: number[]
}

/** The text of server.properties, for a node that is broker and controller in one. */
export function serverProperties(address: BrokerSettings): string {
  const { port, controllerPort, dataDir, listeners = [], clusterNode, properties = {} } = address
  const all: Listener[] = [{ name: 'PLAINTEXT', port, protocol: 'PLAINTEXT' }, ...listeners]
  const voters = clusterNode?.controllerPorts ?? [controllerPort]
  const listed = (portOf: (listener: Listener) => number) =>
    all.map(listener => `${listener.name}://127.0.0.1:${portOf(listener)}`)
  const controller = `CONTROLLER://127.0.0.1:${controllerPort}`
  const protocols = all.map(({ name, protocol }) => `${name}:${protocol}`)
  const own: Settings = [
    'one process is both; the ports of the quorum are only in this file, never in the data,',
    'so that the same data can start on other ports',
    ['process.roles', 'broker,controller'],
    ['node.id', clusterNode?.nodeId ?? 1],
    ['controller.quorum.voters', voters.map((at, index) => `${index + 1}@127.0.0.1:${at}`).join()],
    ['listeners', [...listed(listener => listener.port), controller].join()],
    ['advertised.listeners', listed(listener => listener.advertisedPort ?? listener.port).join()],
    ['listener.security.protocol.map', [...protocols, 'CONTROLLER:PLAINTEXT'].join()],
    ['controller.listener.names', 'CONTROLLER'],
    ['inter.broker.listener.name', 'PLAINTEXT'],
    ['log.dirs', dataDir],
  ]
  // Of two lines with the same name, Kafka uses the later one.
  return [...own, ...fixed, ...Object.entries(properties)]
    .map(entry => (typeof entry === 'string' ? `# ${entry}\n` : `${entry[0]}=${entry[1]}\n`))
    .join('')
}

type Settings = (string | [key: string, value: string | number | boolean])[]

const fixed: Settings = [
  'topics are created explicitly: otherwise a mistyped name creates one',
  ['auto.create.topics.enable', false],
  'all three families of internal topics: otherwise the first group or transaction waits for',
  'more brokers than there are',
  ['default.replication.factor', 1],
  ['min.insync.replicas', 1],
  ['offsets.topic.replication.factor', 1],
  ['transaction.state.log.replication.factor', 1],
  ['transaction.state.log.min.isr', 1],
  ['share.coordinator.state.topic.replication.factor', 1],
  ['share.coordinator.state.topic.min.isr', 1],
  'fewer files and a faster first group than with 50 each',
  ['offsets.topic.num.partitions', 1],
  ['transaction.state.log.num.partitions', 1],
  ['share.coordinator.state.topic.num.partitions', 1],
  'the first consumer of a group does not wait for others',
  ['group.initial.rebalance.delay.ms', 0],
  'after a crash a broker may register only when its old session has ended: ready in 4 s',
  'instead of 12; with 1 s some first starts were slow',
  ['broker.session.timeout.ms', 2000],
  ['broker.heartbeat.interval.ms', 400],
  'a clean end is reported to the controller: the next start is ready in 2 s instead of 4',
  ['controlled.shutdown.enable', true],
  'for one small machine',
  ['num.network.threads', 2],
  ['num.io.threads', 2],
  ['background.threads', 2],
  ['log.cleaner.dedupe.buffer.size', 2_097_152],
]
