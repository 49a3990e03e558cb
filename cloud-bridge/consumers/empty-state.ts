import { CannotStart } from '../../config/process/lifetime.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { type ConsumerStateAccess, StateUnavailable } from './state/state.ts'

export type EmptyStateOptions = {
  name: string
  groupId: string
  topics: readonly string[]
  kafka: Pick<KafkaClient, 'stream' | 'topics'>
  state: Pick<ConsumerStateAccess, 'partitions' | 'reader'>
}

/** Checks a partition whose work has been opened, given the next offsets of its state. */
export type OpenedCheck = (
  partition: number,
  nextOffsets: ReadonlyMap<string, number>,
) => Promise<void>

/**
 * Returns the check that refuses a state in `consumers.dir` which lacks what its group has
 * processed before: the state of another machine, or an empty directory. To go on would replace
 * better results. The check rejects with CannotStart when the state has no offset of a partition
 * and the group has committed one behind the topic's first record, or when the complete state is
 * new and the topic no longer begins at 0. Rejects with StateUnavailable while Kafka does not
 * answer.
 */
export function createEmptyStateCheck(options: EmptyStateOptions): OpenedCheck {
  const { name, groupId, topics, kafka, state } = options
  const isNewState = async (): Promise<boolean> => {
    for (const partition of await state.partitions()) {
      if ((await state.reader(partition)).offsets.size > 0) return false
    }
    return true
  }
  const findEvidence = async (partition: number): Promise<string | null> => {
    const offsets = await kafka.stream.topicOffsets(topics)
    for (const topic of topics) {
      const begin = offsets.get(topic)?.begin.get(partition) ?? 0
      const committed = (await kafka.topics.committedOffsets(groupId, topic)).get(partition) ?? 0
      if (committed > begin) {
        return `the group ${groupId} has processed topic ${topic} up to offset ${committed}`
      }
      if (begin > 0 && (await isNewState())) {
        return `topic ${topic} begins at offset ${begin}: Kafka has deleted older records`
      }
    }
    return null
  }
  return async (partition, nextOffsets) => {
    if (nextOffsets.size > 0) return
    const evidence = await findEvidence(partition).catch((error: Error) => {
      throw new StateUnavailable(`cannot compare the state with Kafka: ${error.message}`, {
        cause: error,
      })
    })
    if (evidence === null) return
    throw new CannotStart(
      `the state of ${name} in consumers.dir has nothing of partition ${partition}, but ` +
        `${evidence}. A new state would replace better results with incomplete ones. Either move ` +
        'the states of the other machine here, or share them in PostgreSQL ' +
        '(consumers.postgresUrlFile), or rebuild the state from the records that Kafka has: ' +
        `./sluice consume ${name} --from beginning replaces the results of the windows in which ` +
        'these records are',
    )
  }
}
