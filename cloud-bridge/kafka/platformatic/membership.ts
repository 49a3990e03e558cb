import {
  decodeConsumerProtocolAssignment,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV7,
  leaveGroupV4,
  offsetCommitV8,
  syncGroupV5,
} from '@platformatic/kafka'
import type { Membership } from '../../ports/consumer-group.ts'
import type { TopicOffset } from '../assignment.ts'
import { assignPartitions } from '../co-partitioning.ts'
import { brokerErrorCodes } from '../errors.ts'
import { ASSIGNER_NAME } from '../group.ts'
import type { Coordinator } from './coordinator.ts'
import { throwFirstError } from './offsets.ts'

const CONSUMER = 'consumer'
const NOT_STATIC = null
const ANY_EPOCH = -1
const NO_USER_DATA = Buffer.alloc(0)

/** Broker error codes about a group (org.apache.kafka Errors). */
const UNKNOWN_MEMBER_ID = 25
const MEMBER_ID_REQUIRED = 79
/** The generation is over, the member is not known, the group shares out anew. */
const ASKS_TO_JOIN = new Set([22, UNKNOWN_MEMBER_ID, 27])

/** What the group has given to this member; and of how many, if it was the one that shared out. */
export type JoinResult = { partitions: number[]; partitionCount: number | null }

/** A member of a group. All reject while its coordinator is away. */
export type GroupMember = {
  /** Waits for all members, a session at most; then what is this one's. */
  join(countPartitions: () => Promise<number>): Promise<JoinResult>
  /** Says that it is alive; gives whether it still is what it was, or has to join again. */
  heartbeat(): Promise<boolean>
  commit(places: readonly TopicOffset[]): Promise<void>
  leave(): Promise<void>
}

/**
 * A member by the classic protocol. Not on the library's Consumer, because that waits for a join no
 * longer than for any answer, and tells what goes wrong only to who listens. `known.id` is its name
 * in the group, which outlives connections.
 */
export function createGroupMember(
  coordinator: Coordinator,
  { groupId, topics, sessionMs }: Membership,
  known: { id: string },
): GroupMember {
  let generation = -1
  const checked = <T extends { errorCode: number }>(answer: T): T => {
    if (answer.errorCode === UNKNOWN_MEMBER_ID) known.id = ''
    throwFirstError([answer])
    return answer
  }
  const askToJoin = async () => {
    const protocols = [{ name: ASSIGNER_NAME, metadata: subscriptionTo(topics) }]
    const ask = () => {
      const about = [groupId, sessionMs, sessionMs, known.id, NOT_STATIC, CONSUMER] as const
      return coordinator.askAndWait(via => joinGroupV7.api.async(via, ...about, protocols))
    }
    const first = await ask()
    if (first.errorCode !== MEMBER_ID_REQUIRED) return checked(first)
    known.id = first.memberId
    return checked(await ask())
  }
  const joinOnce = async (countPartitions: () => Promise<number>): Promise<JoinResult> => {
    const { memberId, generationId, leader, members, protocolName } = await askToJoin()
    known.id = memberId
    generation = generationId
    const counted = leader === memberId ? await countPartitions() : null
    const ids = members.map(member => member.memberId)
    const assignments = [...assignPartitions(ids, counted ?? 0)].map(([id, partitions]) => ({
      memberId: id,
      assignment: assignmentOf(topics, partitions),
    }))
    const about = [
      groupId,
      generation,
      memberId,
      NOT_STATIC,
      CONSUMER,
      protocolName ?? null,
    ] as const
    const synced = await coordinator.askAndWait(via =>
      syncGroupV5.api.async(via, ...about, assignments),
    )
    const { assignedPartitions } = decodeConsumerProtocolAssignment(checked(synced).assignment)
    const own = assignedPartitions.find(({ topic }) => topic === topics[0])
    return { partitions: own?.partitions ?? [], partitionCount: counted }
  }

  return {
    async join(countPartitions) {
      for (;;) {
        try {
          return await joinOnce(countPartitions)
        } catch (error) {
          if (!brokerErrorCodes(error).some(code => ASKS_TO_JOIN.has(code))) throw error
        }
      }
    },
    async heartbeat() {
      const answer = await coordinator.ask(via =>
        heartbeatV4.api.async(via, groupId, generation, known.id, NOT_STATIC),
      )
      if (ASKS_TO_JOIN.has(answer.errorCode)) return false
      checked(answer)
      return true
    },
    async commit(places) {
      const about = [groupId, generation, known.id, NOT_STATIC] as const
      const answer = await coordinator.ask(async via => {
        const said = await offsetCommitV8.api.async(via, ...about, committed(places))
        const { errorCode = 0 } = said.topics.flatMap(one => one.partitions)[0] ?? {}
        return { ...said, errorCode }
      })
      throwFirstError(answer.topics.flatMap(({ partitions }) => partitions))
    },
    async leave() {
      if (known.id === '') return
      const members = [{ memberId: known.id, groupInstanceId: NOT_STATIC }]
      await coordinator.ask(via => leaveGroupV4.api.async(via, groupId, members))
      known.id = ''
    },
  }
}

function subscriptionTo(topics: readonly string[]): Buffer {
  const named = { topics: [...topics], userData: NO_USER_DATA }
  return encodeConsumerProtocolSubscription({ version: 0, ...named })
}

function assignmentOf(topics: readonly string[], partitions: number[]): Buffer {
  const assignedPartitions = topics.map(topic => ({ topic, partitions }))
  return encodeConsumerProtocolAssignment({
    version: 0,
    assignedPartitions,
    userData: NO_USER_DATA,
  })
}

function committed(places: readonly TopicOffset[]) {
  return [...Map.groupBy(places, ({ topic }) => topic)].map(([name, own]) => ({
    name,
    partitions: own.map(({ partition: partitionIndex, offset }) => ({
      partitionIndex,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: ANY_EPOCH,
    })),
  }))
}
