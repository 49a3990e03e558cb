import type { TopicAdmin } from '../../cloud-bridge/kafka/client.ts'
import type { Config } from '../../config/config.ts'

/** What consumers tell people. */
const ALERTS = 'sluice.alerts'
/** How many partitions the readings get when nobody says. */
const PARTITIONS = 6

/**
 * Creates the topics of the main job that are missing. What is sent once more gets as many
 * partitions as readings have, because it goes to the same ones.
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
  const found = await partitionsOf(topics.readings)
  await create([
    { topic: topics.backfill, partitions: found },
    { topic: consumers.analytics.topic, partitions: found, isCompacted: true },
    { topic: ALERTS, partitions: found },
  ])
}
