import { effectTopicsOf } from '../../cloud-bridge/consumers/effect-topics.ts'
import type { TopicAdmin } from '../../cloud-bridge/kafka/client.ts'
import type { Config } from '../../config/config.ts'

/** Partitions of the readings topic when `kafka.partitions` is not configured. */
const PARTITIONS = 6

/**
 * Creates the missing topics of the pipeline. The backfill, aggregates and alerts topics get as
 * many partitions as the readings topic has, so that a zone has the same partition number in each
 * topic.
 */
export async function createPipelineTopics(
  { create, partitionsOf }: TopicAdmin,
  config: Pick<Config, 'kafka' | 'consumers'>,
): Promise<void> {
  const { topics, partitions } = config.kafka
  await create([
    { topic: topics.readings, partitions: partitions ?? PARTITIONS },
    { topic: topics.deadletters, partitions: 1 },
    { topic: topics.ledger, partitions: 1 },
  ])
  const readingsPartitions = await partitionsOf(topics.readings)
  await create([
    { topic: topics.backfill, partitions: readingsPartitions },
    ...effectTopicsOf(config).map(topic => ({ ...topic, partitions: readingsPartitions })),
  ])
}
