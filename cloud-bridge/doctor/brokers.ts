import type { Config } from '../../config/config.ts'
import type { KafkaClient, KafkaOptions } from '../kafka/client.ts'
import { type Check, type Finding, fault, ok, splitCure, warn } from './finding.ts'

/** Opens a client of the configured library that goes to these brokers first. */
export type ClientFactory = (brokers: readonly string[]) => Promise<KafkaClient>

/** What answered, and what was found at each address. */
type Cluster = { brokers: string[]; findings: Finding[] }

/** Asks the cluster at one address who its brokers are: name, TCP, TLS and log-in are in that. */
async function ask(
  reach: ClientFactory,
  address: string,
  unreachable: (reason: string) => Finding,
): Promise<Cluster> {
  try {
    const brokers = await (await reach([address])).topics.brokers()
    const count = `${brokers.length} broker${brokers.length === 1 ? '' : 's'}`
    return { brokers, findings: [ok(`broker ${address}`, `answers; the cluster has ${count}`)] }
  } catch (error) {
    const { message } = error as Error
    const reason = message.replace(`${address}: `, '')
    return { brokers: [], findings: [unreachable(reason)] }
  }
}

/**
 * Asks at each configured address, and then at those that the cluster itself names and clients are
 * sent on to. `reachable` tells, as soon as it is known, a first address that answered, or null.
 */
export function queryBrokers({ brokers }: Pick<KafkaOptions, 'brokers'>, reach: ClientFactory) {
  const configured = brokers.map(address =>
    ask(reach, address, reason => {
      const [value, cure] = parted(reason)
      return fault(`broker ${address}`, value, cure)
    }),
  )
  const reachable = Promise.any(
    configured.map(async (asked, index) => {
      if ((await asked).brokers.length === 0) throw new Error('no answer')
      return brokers[index]!
    }),
  ).catch(() => null)
  const named = async (): Promise<Finding[]> => {
    const found = (await Promise.all(configured)).flatMap(({ brokers: all }) => all)
    const further = [...new Set(found)].filter(address => !brokers.includes(address))
    const asked = further.map(address =>
      ask(reach, address, reason =>
        fault(
          `broker ${address}`,
          `the cluster sends clients there, and ${parted(reason)[0]}`,
          "Set the broker's advertised.listeners to an address that can be reached from here",
        ),
      ),
    )
    return (await Promise.all(asked)).flatMap(({ findings }) => findings)
  }
  return { configured: configured.map(async asked => (await asked).findings), reachable, named }
}

function parted(reason: string): [value: string, cure: string] {
  if (/timed? ?out|not connected/i.test(reason)) {
    return ['no answer in time', 'Is the address right, the host up, and no firewall in between?']
  }
  return splitCure(reason, 'See kafka.brokers, kafka.tls and kafka.sasl')
}

/**
 * Whether each broker answers; then `askAt` asks about the rest at the first one that does, so that
 * one that does not holds up nothing.
 */
export function kafkaChecks(
  { brokers }: Pick<Config['kafka'], 'brokers'>,
  reach: ClientFactory,
  askAt: (address: string) => Promise<Finding[]>,
): Check[] {
  if (brokers.length === 0) {
    const value = 'not configured, so everything stays in the outbox'
    const cure = 'Name host:port of some brokers'
    return [{ what: 'kafka.brokers', look: async () => [warn('kafka.brokers', value, cure)] }]
  }
  const asked = queryBrokers({ brokers }, reach)
  const look = async (): Promise<Finding[]> => {
    const address = await asked.reachable
    if (address) return askAt(address)
    return [warn('topics', 'not looked at, because no broker answers', 'Mend that first')]
  }
  return [
    ...asked.configured.map((found, index) => ({
      what: `broker ${brokers[index]}`,
      look: () => found,
    })),
    { what: 'further brokers', look: asked.named },
    { what: 'topics', look },
  ]
}
