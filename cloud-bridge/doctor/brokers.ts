import type { Config } from '../../config/config.ts'
import type { KafkaClient, KafkaOptions } from '../kafka/client.ts'
import { type Check, type Finding, fault, ok, splitCure, warning } from './finding.ts'

/** Creates a client of the configured library that connects to these brokers first. */
export type ClientFactory = (brokers: readonly string[]) => Promise<KafkaClient>

/**
 * The cluster's brokers as one address listed them (none when the address did not respond), and the
 * findings about the address.
 */
type BrokerAnswer = { brokers: string[]; findings: Finding[] }

/**
 * Requests the cluster's brokers from one address, which needs name lookup, TCP, TLS and log-in.
 */
async function queryBroker(
  createClient: ClientFactory,
  address: string,
  unreachable: (reason: string) => Finding,
): Promise<BrokerAnswer> {
  try {
    const brokers = await (await createClient([address])).topics.brokers()
    const count = `${brokers.length} broker${brokers.length === 1 ? '' : 's'}`
    return { brokers, findings: [ok(`broker ${address}`, `responds; the cluster has ${count}`)] }
  } catch (error) {
    const { message } = error as Error
    const reason = message.replace(`${address}: `, '')
    return { brokers: [], findings: [unreachable(reason)] }
  }
}

/**
 * Queries each configured address, and then the addresses that the cluster advertises and clients
 * connect to next. `reachable` resolves with the first address that responds, as soon as it
 * responds, or with null when none responds.
 */
export function queryBrokers(
  { brokers }: Pick<KafkaOptions, 'brokers'>,
  createClient: ClientFactory,
) {
  const configured = brokers.map(address =>
    queryBroker(createClient, address, reason => {
      const [value, cure] = splitReason(reason)
      return fault(`broker ${address}`, value, cure)
    }),
  )
  const reachable = Promise.any(
    configured.map(async (answer, index) => {
      if ((await answer).brokers.length === 0) throw new Error('no response')
      return brokers[index]!
    }),
  ).catch(() => null)
  const advertised = async (): Promise<Finding[]> => {
    const named = (await Promise.all(configured)).flatMap(answer => answer.brokers)
    const further = [...new Set(named)].filter(address => !brokers.includes(address))
    const answers = further.map(address =>
      queryBroker(createClient, address, reason =>
        fault(
          `broker ${address}`,
          `the cluster advertises this address, but ${splitReason(reason)[0]}`,
          "Set the broker's advertised.listeners to an address that can be reached from here",
        ),
      ),
    )
    return (await Promise.all(answers)).flatMap(({ findings }) => findings)
  }
  const findings = configured.map(async answer => (await answer).findings)
  return { configured: findings, reachable, advertised }
}

function splitReason(reason: string): [value: string, cure: string] {
  if (/timed? ?out|not connected/i.test(reason)) {
    const cure = 'Check the address, that the host is up, and that no firewall is in between'
    return ['no answer in time', cure]
  }
  return splitCure(reason, 'See kafka.brokers, kafka.tls and kafka.sasl')
}

/**
 * Checks each broker. `checkTopics` then runs against the first broker that responds, so that a
 * silent broker does not delay the other checks.
 */
export function kafkaChecks(
  { brokers }: Pick<Config['kafka'], 'brokers'>,
  createClient: ClientFactory,
  checkTopics: (address: string) => Promise<Finding[]>,
): Check[] {
  if (brokers.length === 0) {
    const subject = 'kafka.brokers'
    const value = 'not configured, so all events stay in the outbox'
    const cure = 'Set it to host:port of some brokers, or run ./sluice up, which starts a Kafka'
    return [{ subject, run: async () => [warning(subject, value, cure)] }]
  }
  const queries = queryBrokers({ brokers }, createClient)
  const checkReachable = async (): Promise<Finding[]> => {
    const address = await queries.reachable
    if (address) return checkTopics(address)
    return [warning('topics', 'not checked, because no broker responds', 'Fix the brokers first')]
  }
  return [
    ...queries.configured.map((findings, index) => ({
      subject: `broker ${brokers[index]}`,
      run: () => findings,
    })),
    { subject: 'further brokers', run: queries.advertised },
    { subject: 'topics', run: checkReachable },
  ]
}
