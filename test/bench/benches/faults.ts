import { randomUUID } from 'node:crypto'
import { brokerFaults } from '../../faults/broker-faults.ts'
import { clusterFaults } from '../../faults/cluster-faults.ts'
import { networkFaults, playRandom } from '../../faults/network-faults.ts'
import { refusals } from '../../faults/refusals.ts'
import { type Outcome, playFault, type SinkRoute } from '../../faults/stage.ts'
import { startCluster } from '../../setup/kafka/cluster.ts'
import { clients, freshTopic, kafkaAt } from '../../setup/kafka/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/kafka/proxied-kafka.ts'
import { createTopicWith } from '../../setup/kafka/topic-settings.ts'
import type { Measurement } from '../measure/figures.ts'
import type { Sizes } from '../sizes.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const PARTITIONS = 6
const REQUEST_TIMEOUT_MS = 2000
/** The longest allowed recovery after a restart of the broker. */
const RECOVERY_MAX_S = 10

type Client = (typeof clients)[number]
type Row = { fault: string; client: Client; outcome: Outcome }

/**
 * Plays each fault of the sink's test suites, and longer series of random faults, against each
 * library.
 */
export const faults: BenchCase = {
  needsKafka: true,
  size: ({ faults: { randomSends, seeds } }: Sizes) => ({ randomSends, seeds }),
  async run({ sizes, signal }: Bench): Promise<Measurement[]> {
    const rows = [...(await onOneBroker(sizes.faults, signal)), ...(await onThree(signal))]
    process.stderr.write(`${tableOf(rows)}\n`)
    return rows.flatMap(figuresOf)
  },
}

async function onOneBroker(sizes: Sizes['faults'], signal: AbortSignal): Promise<Row[]> {
  await using on = await startProxiedKafka()
  const rows: Row[] = []
  const wayOf = (client: Client, topic: string): SinkRoute => ({
    ...{ topic, partitions: PARTITIONS },
    sending: { ...on.proxied, client },
    reading: { ...on.direct, client },
  })
  const add = async (fault: string, of: readonly Client[], playing: Promise<Outcome[]>) => {
    const outcomes = await playing
    on.proxy.restore()
    rows.push(...of.map((client, index) => ({ fault, client, outcome: outcomes[index]! })))
    signal.throwIfAborted()
  }
  for (const client of clients) {
    for (const [fault, script] of Object.entries({ ...networkFaults, ...randomFaults(sizes) })) {
      const way = wayOf(client, await freshTopic(on.direct, PARTITIONS))
      await add(
        fault,
        [client],
        playFault([way], ([stage]) => script(stage!, on)),
      )
    }
    for (const [fault, { ground, script }] of Object.entries(refusals)) {
      const topic = await topicOn(on, ground)
      const playing = playFault([wayOf(client, topic)], ([stage]) => script(stage!, on))
      await add(fault, [client], playing)
    }
  }
  for (const [fault, script] of Object.entries(brokerFaults)) {
    const topics = clients.map(async one => wayOf(one, await freshTopic(on.direct, PARTITIONS)))
    const ways = await Promise.all(topics)
    await add(
      fault,
      clients,
      playFault(ways, stages => script(stages, on)),
    )
  }
  return rows
}

async function onThree(signal: AbortSignal): Promise<Row[]> {
  await using cluster = await startCluster()
  const kafka = kafkaAt(cluster.brokers, REQUEST_TIMEOUT_MS)
  const rows: Row[] = []
  for (const [fault, { plan, script, only = clients }] of Object.entries(clusterFaults)) {
    const ways = only.map(async client => {
      const topic = await createTopicWith(kafka, { partitions: PARTITIONS, ...plan })
      return { topic, partitions: PARTITIONS, sending: { ...kafka, client }, reading: kafka }
    })
    const outcomes = await playFault(await Promise.all(ways), stages => {
      return script(stages, { cluster, kafka })
    })
    rows.push(...only.map((client, index) => ({ fault, client, outcome: outcomes[index]! })))
    signal.throwIfAborted()
  }
  return rows
}

/** Longer versions of the random faults in `npm test`. */
function randomFaults({ randomSends, seeds }: Sizes['faults']) {
  return Object.fromEntries(
    Array.from({ length: seeds }, (_, seed) => [
      `one in three is cut at random, ${randomSends} sends, seed ${seed}`,
      playRandom(1 / 3, randomSends, seed),
    ]),
  )
}

async function topicOn(on: ProxiedKafka, ground: (typeof refusals)[string]['ground']) {
  const { missing, partitions = PARTITIONS, settings = {} } = ground
  return missing ? `test-${randomUUID()}` : createTopicWith(on.direct, { partitions, settings })
}

function figuresOf({ fault, client, outcome }: Row): Measurement[] {
  const { lost, inversions, duplicates, recoveryMs } = outcome
  const of = client
  return [
    { figure: `${fault}: lost`, of, unit: 'events', value: lost, target: { atMost: 0 } },
    {
      figure: `${fault}: out of order`,
      of,
      unit: 'events',
      value: inversions,
      target: { atMost: 0 },
    },
    { figure: `${fault}: written twice`, of, unit: 'events', value: duplicates },
    {
      ...{ figure: `${fault}: recovery`, of, unit: 's', value: recoveryMs / 1000 },
      target: { below: RECOVERY_MAX_S },
    },
  ]
}

/**
 * Formats the results as a Markdown table: one line for each fault, four columns for each library.
 */
export function tableOf(rows: Row[]): string {
  const titles = ['lost', 'out of order', 'twice', 'recovery s']
  const head = ['fault', ...clients.flatMap(client => titles.map(title => `${client}: ${title}`))]
  const byFault = Map.groupBy(rows, ({ fault }) => fault)
  const lines = [...byFault].map(([fault, own]) => {
    const cells = clients.flatMap(client => {
      const outcome = own.find(row => row.client === client)?.outcome
      if (!outcome) return titles.map(() => '')
      const { lost, inversions, duplicates, recoveryMs } = outcome
      return [lost, inversions, duplicates, (recoveryMs / 1000).toFixed(1)]
    })
    return [fault, ...cells]
  })
  return [head, head.map(() => '---'), ...lines].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}
