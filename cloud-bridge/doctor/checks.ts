import type { Config } from '../../config/config.ts'
import { readRangeStatus } from '../../gateway/store/read/store-check.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import { timestampLagMs } from '../kafka/topic-retention.ts'
import { kafkaChecks } from './brokers.ts'
import { certificateChecks } from './certificates.ts'
import { clockCheck } from './clock.ts'
import { type Check, mergeFindings } from './finding.ts'
import { listenerChecks } from './listeners.ts'
import { registryChecks } from './registry.ts'
import { storeChecks } from './stores.ts'
import { readTopicSettings, topicFindings, writeRightFindings } from './topics.ts'

/** A doctor asks once, and a broker that is well answers in less. */
const REQUEST_TIMEOUT_MS = 3000

const inTime = <T extends { requestTimeoutMs: number }>(options: T): T => ({
  ...options,
  requestTimeoutMs: Math.min(options.requestTimeoutMs, REQUEST_TIMEOUT_MS),
})

/** All that gateway and bridge need with this configuration, from their disk to the registry. */
export function createChecks(config: Config): Check[] {
  const { gateway, bridge, ingest, outbox, inbox, kafka, registry } = config
  const reach = (brokers: readonly string[]) => ({ ...inTime(kafka), brokers })
  const open = (brokers: readonly string[]) => createKafkaClient(reach(brokers))
  const { oldestWaitingMs: waitingAgeMs, partitions: spreadOver } = readRangeStatus(
    outbox.file,
    inbox.file,
  )
  const expected = {
    ...{ topics: kafka.topics, partitions: kafka.partitions, spreadOver },
    payloadMaxBytes: ingest.payloadMaxBytes,
    packetMaxBytes: gateway.mqtt.packetMaxBytes,
    lagMs: timestampLagMs(waitingAgeMs, Date.now()),
  }
  const askAt = async (address: string) => {
    const { topics } = await open([address])
    const [found, rights] = await Promise.all([
      readTopicSettings(kafka.topics, topics),
      writeRightFindings(reach([address]), Object.values(kafka.topics)),
    ])
    return [...mergeFindings(topicFindings(expected, found)), ...rights]
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
