import type { Membership } from '../../ports/consumer-group.ts'
import type { TopicOffset } from '../assignment.ts'
import { assignPartitions } from '../co-partitioning.ts'
import { ErrorCode } from '../error-codes.ts'
import { brokerErrorCodes } from '../errors.ts'
import { ASSIGNER_NAME } from '../group.ts'
import type { Coordinator } from './coordinator.ts'
import {
  decodeConsumerProtocolAssignment,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  protocol,
} from './internals.ts'
import { throwFirstError } from './offsets.ts'

/** The protocol type of consumer groups. */
const CONSUMER = 'consumer'
/** The group instance id of a member that is not static. */
const NOT_STATIC = null
const ANY_EPOCH = -1
const NO_USER_DATA = Buffer.alloc(0)

/** Error codes after which the member has to join the group again. */
const REJOIN_ERRORS: ReadonlySet<number> = new Set([
  ErrorCode.ILLEGAL_GENERATION,
  ErrorCode.UNKNOWN_MEMBER_ID,
  ErrorCode.REBALANCE_IN_PROGRESS,
])

/**
 * The member's partitions. `partitionCount` is the number of partitions that this member, as the
 * group leader, distributed over the members; null when another member is the leader.
 */
export type JoinResult = { partitions: number[]; partitionCount: number | null }

/** A member of a group. All methods reject while the coordinator is unavailable. */
export type GroupMember = {
  /**
   * Joins the group and waits until all members have joined, at most one session. As the group
   * leader, distributes `countPartitions` partitions over the members.
   */
  join(countPartitions: () => Promise<number>): Promise<JoinResult>
  /** Resolves with false when the member has to join again. */
  heartbeat(): Promise<boolean>
  commit(offsets: readonly TopicOffset[]): Promise<void>
  leave(): Promise<void>
}

/**
 * A member by the classic group protocol. Does not use the library's Consumer, which gives up a
 * join after the same timeout as any other request, and reports errors only to event listeners.
 * `identity` holds the member id, which survives connections.
 */
export function createGroupMember(
  coordinator: Coordinator,
  { groupId, topics, sessionMs }: Membership,
  identity: { memberId: string },
): GroupMember {
  let generation = -1
  const checked = <T extends { errorCode: number }>(response: T): T => {
    if (response.errorCode === ErrorCode.UNKNOWN_MEMBER_ID) identity.memberId = ''
    throwFirstError([response])
    return response
  }
  const sendJoin = async () => {
    const protocols = [{ name: ASSIGNER_NAME, metadata: encodeSubscription(topics) }]
    const request = () => {
      const id = identity.memberId
      const fields = [groupId, sessionMs, sessionMs, id, NOT_STATIC, CONSUMER] as const
      return coordinator.askAndWait(connection =>
        protocol.joinGroup.async(connection, ...fields, protocols),
      )
    }
    const first = await request()
    if (first.errorCode !== ErrorCode.MEMBER_ID_REQUIRED) return checked(first)
    identity.memberId = first.memberId
    return checked(await request())
  }
  const joinOnce = async (countPartitions: () => Promise<number>): Promise<JoinResult> => {
    const { memberId, generationId, leader, members, protocolName } = await sendJoin()
    identity.memberId = memberId
    generation = generationId
    const partitionCount = leader === memberId ? await countPartitions() : null
    const ids = members.map(member => member.memberId)
    const assignments = [...assignPartitions(ids, partitionCount ?? 0)].map(([id, partitions]) => ({
      memberId: id,
      assignment: encodeAssignment(topics, partitions),
    }))
    const fields = [
      groupId,
      generation,
      memberId,
      NOT_STATIC,
      CONSUMER,
      protocolName ?? null,
    ] as const
    const response = await coordinator.askAndWait(connection =>
      protocol.syncGroup.async(connection, ...fields, assignments),
    )
    const { assignedPartitions } = decodeConsumerProtocolAssignment(checked(response).assignment)
    const own = assignedPartitions.find(({ topic }) => topic === topics[0])
    return { partitions: own?.partitions ?? [], partitionCount }
  }

  return {
    async join(countPartitions) {
      for (;;) {
        try {
          return await joinOnce(countPartitions)
        } catch (error) {
          if (!brokerErrorCodes(error).some(code => REJOIN_ERRORS.has(code))) throw error
        }
      }
    },
    async heartbeat() {
      const response = await coordinator.ask(connection =>
        protocol.heartbeat.async(connection, groupId, generation, identity.memberId, NOT_STATIC),
      )
      if (REJOIN_ERRORS.has(response.errorCode)) return false
      checked(response)
      return true
    },
    async commit(offsets) {
      const fields = [groupId, generation, identity.memberId, NOT_STATIC] as const
      const response = await coordinator.ask(async connection => {
        const committed = await protocol.offsetCommit.async(
          connection,
          ...fields,
          encodeOffsets(offsets),
        )
        const [first] = committed.topics.flatMap(({ partitions }) => partitions)
        return { ...committed, errorCode: first?.errorCode ?? ErrorCode.NONE }
      })
      throwFirstError(response.topics.flatMap(({ partitions }) => partitions))
    },
    async leave() {
      if (identity.memberId === '') return
      const members = [{ memberId: identity.memberId, groupInstanceId: NOT_STATIC }]
      await coordinator.ask(connection => protocol.leaveGroup.async(connection, groupId, members))
      identity.memberId = ''
    },
  }
}

function encodeSubscription(topics: readonly string[]): Buffer {
  const subscription = { topics: [...topics], userData: NO_USER_DATA }
  return encodeConsumerProtocolSubscription({ version: 0, ...subscription })
}

function encodeAssignment(topics: readonly string[], partitions: number[]): Buffer {
  const assignedPartitions = topics.map(topic => ({ topic, partitions }))
  return encodeConsumerProtocolAssignment({
    version: 0,
    assignedPartitions,
    userData: NO_USER_DATA,
  })
}

function encodeOffsets(offsets: readonly TopicOffset[]) {
  return [...Map.groupBy(offsets, ({ topic }) => topic)].map(([name, ownOffsets]) => ({
    name,
    partitions: ownOffsets.map(({ partition: partitionIndex, offset }) => ({
      partitionIndex,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: ANY_EPOCH,
    })),
  }))
}
