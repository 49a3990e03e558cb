import type { Topics } from '../cloud-bridge/kafka/client.ts'
import type { Config } from '../config/config.ts'

/** How many partitions the readings get when nobody says. */
const PARTITIONS = 6

/**
 * Creates the topics of the main job that are missing. What is sent once more gets as many
 * partitions as readings have, because it goes to the same ones.
 */
export async function createJobTopics(
  { create, partitionsOf }: Topics,
  { topics, partitions }: Pick<Config['kafka'], 'topics' | 'partitions'>,
  results: readonly { topic: string; isCompacted: boolean }[] = [],
): Promise<void> {
  await create([
    { topic: topics.readings, partitions: partitions ?? PARTITIONS },
    { topic: topics.deadletters, partitions: 1 },
    { topic: topics.ledger, partitions: 1 },
  ])
  const found = await partitionsOf(topics.readings)
  await create([
    { topic: topics.backfill, partitions: found },
    ...results.map(one => ({ ...one, partitions: found })),
  ])
}
