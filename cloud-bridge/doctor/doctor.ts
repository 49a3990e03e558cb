import type { Config } from '../../config/config.ts'
import { lookAtRanges } from '../../gateway/store/read/store-check.ts'
import { openKafka } from '../kafka/configured-client.ts'
import { lagMs } from '../kafka/topic-retention.ts'
import { kafkaChecks } from './brokers.ts'
import { certificateChecks } from './certificates.ts'
import { clockCheck } from './clock.ts'
import { type Check, together } from './finding.ts'
import { listenerChecks } from './listeners.ts'
import { registryChecks } from './registry.ts'
import { storeChecks } from './stores.ts'
import { askTopics, judgeTopics, rightsFindings } from './topics.ts'

/** A doctor asks once, and a broker that is well answers in less. */
const REQUEST_TIMEOUT_MS = 3000

const inTime = <T extends { requestTimeoutMs: number }>(options: T): T => ({
  ...options,
  requestTimeoutMs: Math.min(options.requestTimeoutMs, REQUEST_TIMEOUT_MS),
})

/** All that gateway and bridge need with this configuration, from their disk to the registry. */
export function checksOf(config: Config): Check[] {
  const { gateway, bridge, ingest, outbox, inbox, kafka, registry } = config
  const reach = (brokers: readonly string[]) => ({ ...inTime(kafka), brokers })
  const open = (brokers: readonly string[]) => openKafka(reach(brokers))
  const { waitingAgeMs, spreadOver } = lookAtRanges(outbox.file, inbox.file)
  const expected = {
    ...{ topics: kafka.topics, partitions: kafka.partitions, spreadOver },
    payloadMaxBytes: ingest.payloadMaxBytes,
    packetMaxBytes: gateway.mqtt.packetMaxBytes,
    lagMs: lagMs(waitingAgeMs, Date.now()),
  }
  const askAt = async (address: string) => {
    const { topics } = await open([address])
    const [found, rights] = await Promise.all([
      askTopics(kafka.topics, topics),
      rightsFindings(reach([address]), Object.values(kafka.topics)),
    ])
    return [...together(judgeTopics(expected, found)), ...rights]
  }
  return [
    ...storeChecks({ outbox, inbox }),
    clockCheck(gateway.clock.syncedFile),
    ...listenerChecks({ gateway, bridge }),
    ...certificateChecks({ kafka, registry }),
    ...kafkaChecks(kafka, open, askAt),
    ...registryChecks(inTime(registry), { inboxFile: inbox.file, topics: kafka.topics }),
  ]
}
