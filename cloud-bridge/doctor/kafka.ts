import type { Config } from '../../config/config.ts'
import { askBrokers, type Reach } from './brokers.ts'
import { type Check, type Finding, warn } from './finding.ts'

/** What is asked at a broker that answers. */
export type Ask = (address: string) => Promise<Finding[]>

/**
 * Whether each broker answers, and what stands in the cluster. Topics are asked for at the first
 * broker that answers, so that one that does not holds up nothing.
 */
export function kafkaChecks(
  { brokers }: Pick<Config['kafka'], 'brokers'>,
  reach: Reach,
  asks: Record<string, Ask>,
): Check[] {
  if (brokers.length === 0) {
    const value = 'not configured, so everything stays in the outbox'
    const cure = 'Name host:port of some brokers'
    return [{ what: 'kafka.brokers', look: async () => [warn('kafka.brokers', value, cure)] }]
  }
  const asked = askBrokers({ brokers }, reach)
  const look = async (what: string, ask: Ask): Promise<Finding[]> => {
    const address = await asked.reachable
    if (address) return ask(address)
    return [warn(what, 'not looked at, because no broker answers', 'Mend that first')]
  }
  return [
    ...asked.configured.map((found, index) => ({
      what: `broker ${brokers[index]}`,
      look: () => found,
    })),
    { what: 'further brokers', look: asked.named },
    ...Object.entries(asks).map(([what, ask]) => ({ what, look: () => look(what, ask) })),
  ]
}
