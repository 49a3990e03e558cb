import type { TopicAdmin } from '../../cloud-bridge/kafka/client.ts'
import type { Config } from '../../config/config.ts'

/** The topic to which consumers send alerts for people. */
const ALERTS = 'sluice.alerts'
/** Partitions of the readings topic when `kafka.partitions` is not configured. */
const PARTITIONS = 6

/**
 * Creates the missing topics of the pipeline. The backfill, aggregates and alerts topics get as
 * many partitions as the readings topic has, so that a zone has the same partition number in each
 * topic.
 */
export async function createPipelineTopics(
  { create, partitionsOf }: TopicAdmin,
  { kafka: { topics, partitions }, consumers }: Pick<Config, 'kafka' | 'consumers'>,
): Promise<void> {
  await create([
    { topic: topics.readings, partitions: partitions ?? PARTITIONS },
    { topic: topics.deadletters, partitions: 1 },
    { topic: topics.ledger, partitions: 1 },
  ])
  const readingsPartitions = await partitionsOf(topics.readings)
  await create([
    { topic: topics.backfill, partitions: readingsPartitions },
    { topic: consumers.analytics.topic, partitions: readingsPartitions, isCompacted: true },
    { topic: ALERTS, partitions: readingsPartitions },
  ])
}
