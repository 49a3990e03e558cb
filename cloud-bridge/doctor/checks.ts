import type { Config } from '../../config/config.ts'
import { readLargestRecords } from '../../gateway/store/read/largest-records.ts'
import { readSpread } from '../../gateway/store/read/store-check.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import { clockLagMs } from '../kafka/topic-retention.ts'
import { kafkaChecks } from './brokers.ts'
import { certificateChecks } from './certificates.ts'
import { clockCheck } from './clock.ts'
import { type Check, mergeFindings } from './finding.ts'
import { listenerChecks } from './listeners.ts'
import { otherGatewaysCheck } from './other-gateways.ts'
import { registryChecks } from './registry.ts'
import { gatewayIdCheck, storeChecks } from './stores.ts'
import { readTopicSettings, topicFindings, writeRightFindings } from './topics.ts'

/** The doctor does not retry, and a healthy broker or registry responds sooner. */
const REQUEST_TIMEOUT_MS = 3000

const withShortTimeout = <T extends { requestTimeoutMs: number }>(options: T): T => ({
  ...options,
  requestTimeoutMs: Math.min(options.requestTimeoutMs, REQUEST_TIMEOUT_MS),
})

/** Checks all that gateway and bridge need with this configuration, from disk to registry. */
export function createChecks(config: Config): Check[] {
  const { gateway, bridge, ingest, outbox, inbox, kafka, registry } = config
  const kafkaAt = (brokers: readonly string[]) => ({ ...withShortTimeout(kafka), brokers })
  const createClient = (brokers: readonly string[]) => createKafkaClient(kafkaAt(brokers))
  const expected = {
    ...{ topics: kafka.topics, partitions: kafka.partitions },
    spreadOver: readSpread(outbox.file, inbox.file),
    payloadMaxBytes: ingest.payloadMaxBytes,
    packetMaxBytes: gateway.mqtt.packetMaxBytes,
    largest: readLargestRecords(outbox.file, inbox.file),
    lagMs: clockLagMs(Date.now()),
  }
  const checkTopics = async (address: string) => {
    const { topics } = await createClient([address])
    const [answers, rights] = await Promise.all([
      readTopicSettings(kafka.topics, topics),
      writeRightFindings(kafkaAt([address]), Object.values(kafka.topics)),
    ])
    return [...mergeFindings(topicFindings(expected, answers)), ...rights]
  }
  return [
    gatewayIdCheck({ gateway, outbox }),
    ...storeChecks({ outbox, inbox }),
    clockCheck(gateway.clock),
    ...listenerChecks({ gateway, bridge, outbox, inbox }),
    ...certificateChecks({ kafka, registry }),
    ...kafkaChecks(kafka, createClient, checkTopics),
    otherGatewaysCheck({ outbox, kafka }, createClient),
    ...registryChecks(withShortTimeout(registry), { inboxFile: inbox.file, topics: kafka.topics }),
  ]
}
