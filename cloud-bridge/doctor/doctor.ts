import type { Config } from '../../config/config.ts'
import { waitingAgeMs } from '../../gateway/store/checkup.ts'
import { openKafka } from '../kafka/kafka.ts'
import { lagMs } from '../topic-guard.ts'
import { certificateChecks } from './certificates.ts'
import { clockCheck } from './clock.ts'
import type { Check } from './finding.ts'
import { kafkaChecks, topicsAsked } from './kafka.ts'
import { listenerChecks } from './listeners.ts'
import { storeChecks } from './stores.ts'

/** A doctor asks once, and a broker that is well answers in less. */
const REQUEST_TIMEOUT_MS = 3000

/** All that gateway and bridge need with this configuration, from their disk to their topics. */
export function checksOf({ gateway, bridge, ingest, outbox, inbox, kafka }: Config): Check[] {
  const requestTimeoutMs = Math.min(kafka.requestTimeoutMs, REQUEST_TIMEOUT_MS)
  const topics = topicsAsked({
    ...{ topics: kafka.topics, partitions: kafka.partitions },
    payloadMaxBytes: ingest.payloadMaxBytes,
    packetMaxBytes: gateway.mqtt.packetMaxBytes,
    lagMs: lagMs(waitingAgeMs(outbox.file, inbox.file), Date.now()),
  })
  const reach = (brokers: readonly string[]) => openKafka({ ...kafka, requestTimeoutMs, brokers })
  return [
    ...storeChecks({ outbox, inbox }),
    clockCheck(gateway.clock.syncedFile),
    ...listenerChecks({ gateway, bridge }),
    ...certificateChecks(kafka),
    ...kafkaChecks(kafka, reach, { topics }),
  ]
}
