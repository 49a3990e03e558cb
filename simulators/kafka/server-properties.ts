// The settings of the local broker, each with its reason. Measured on Kafka 4.3.1.

export type BrokerAddress = {
  port: number
  controllerPort: number
  /** relative to the folder the broker runs in: free of escapes, and the folder can be moved */
  dataDir: string
  proxied?: ProxiedListener | undefined
}

/** A second listener, for clients that are to come through a proxy in front of it. */
export type ProxiedListener = {
  port: number
  /** of 127.0.0.1: where the broker tells such clients to go on */
  proxyPort: number
}

/** The text of server.properties for a single node that is broker and controller in one. */
export function serverProperties(address: BrokerAddress): string {
  const { port, controllerPort, dataDir, proxied } = address
  const second = (of?: number) => (proxied ? `,PROXIED://127.0.0.1:${of}` : '')
  const own: Settings = [
    'one process is both; the quorum is named by port here and nowhere in the data,',
    'so that the same data can come back on other ports',
    ['process.roles', 'broker,controller'],
    ['node.id', 1],
    ['controller.quorum.voters', `1@127.0.0.1:${controllerPort}`],
    [
      'listeners',
      `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${second(proxied?.port)}`,
    ],
    ['advertised.listeners', `PLAINTEXT://127.0.0.1:${port}${second(proxied?.proxyPort)}`],
    [
      'listener.security.protocol.map',
      'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
    ],
    ['controller.listener.names', 'CONTROLLER'],
    ['inter.broker.listener.name', 'PLAINTEXT'],
    ['log.dirs', dataDir],
  ]
  return [...own, ...fixed]
    .map(entry => (typeof entry === 'string' ? `# ${entry}\n` : `${entry[0]}=${entry[1]}\n`))
    .join('')
}

type Settings = (string | [key: string, value: string | number | boolean])[]

const fixed: Settings = [
  'a topic exists when somebody created it: otherwise a mistyped name makes one',
  ['auto.create.topics.enable', false],
  'all three families of internal topics: otherwise the first group or transaction waits for',
  'brokers that never come',
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
  'the first consumer of a group need not wait for others',
  ['group.initial.rebalance.delay.ms', 0],
  'after a crash a broker may register again only when its old session has ended: ready in 4 s',
  'instead of 12; with 1 s some first starts were slow',
  ['broker.session.timeout.ms', 2000],
  ['broker.heartbeat.interval.ms', 400],
  'a clean end says so to the controller: the next start is ready in 2 s instead of 4',
  ['controlled.shutdown.enable', true],
  'one small machine',
  ['num.network.threads', 2],
  ['num.io.threads', 2],
  ['background.threads', 2],
  ['log.cleaner.dedupe.buffer.size', 2_097_152],
]
