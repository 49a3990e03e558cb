import { setTimeout as sleep } from 'node:timers/promises'
import { openCluster } from '../../../cloud-bridge/kafka/platformatic/cluster.ts'
import { initProducerState } from '../../../cloud-bridge/kafka/platformatic/produce-request.ts'
import { defaults } from '../../../config/config.ts'

const POLL_MS = 50

/** Resolves when Kafka assigns producer ids; right after its start it refuses for a moment. */
export async function waitForProducerIds(brokers: string[]): Promise<void> {
  await using cluster = openCluster({ ...defaults.kafka, brokers })
  while (!(await initProducerState(cluster).catch(() => null))) await sleep(POLL_MS)
}
