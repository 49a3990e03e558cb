import type { Config } from '../../config/config.ts'
import { askBrokers, type Reach } from './brokers.ts'
import { type Check, type Finding, warn } from './finding.ts'

/**
 * Whether each broker answers; then `askAt` asks about the rest at the first one that does, so that
 * one that does not holds up nothing.
 */
export function kafkaChecks(
  { brokers }: Pick<Config['kafka'], 'brokers'>,
  reach: Reach,
  askAt: (address: string) => Promise<Finding[]>,
): Check[] {
  if (brokers.length === 0) {
    const value = 'not configured, so everything stays in the outbox'
    const cure = 'Name host:port of some brokers'
    return [{ what: 'kafka.brokers', look: async () => [warn('kafka.brokers', value, cure)] }]
  }
  const asked = askBrokers({ brokers }, reach)
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
