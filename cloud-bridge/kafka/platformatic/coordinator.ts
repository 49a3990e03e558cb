import type { KafkaOptions } from '../client.ts'
import { ErrorCode } from '../error-codes.ts'
import { openCluster } from './cluster.ts'
import { type Broker, type Connection, protocol } from './internals.ts'
import { throwFirstError } from './offsets.ts'

/** Kafka's number for groups among the kinds of things that have a coordinator. */
const GROUP = 0
/** So many requests time out within one session when the coordinator hangs. */
const TIMEOUTS_PER_SESSION = 3
/** The coordinator moved to another broker, or is not ready. */
const COORDINATOR_ERRORS: ReadonlySet<number> = new Set([
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
])

type Request<T> = (connection: Connection) => Promise<T>

/**
 * The broker that coordinates a group. Both requests reject without a response; the next request
 * then looks the coordinator up again.
 */
export type Coordinator = AsyncDisposable & {
  ask<T extends { errorCode: number }>(request: Request<T>): Promise<T>
  /** For requests that are answered when every member has sent one: waits one session more. */
  askAndWait<T extends { errorCode: number }>(request: Request<T>): Promise<T>
}

export function openCoordinator(
  options: KafkaOptions,
  groupId: string,
  sessionMs: number,
): Coordinator {
  const requestTimeoutMs = Math.min(options.requestTimeoutMs, sessionMs / TIMEOUTS_PER_SESSION)
  const promptCluster = openCluster({ ...options, requestTimeoutMs })
  // Separate connections, because a broker processes one request of a connection at a time.
  const waitingCluster = openCluster({
    ...options,
    requestTimeoutMs: sessionMs + options.requestTimeoutMs,
  })
  let coordinator: Broker | null = null

  const findCoordinator = async (): Promise<Broker> => {
    const { coordinators } = await promptCluster.askAny(connection =>
      protocol.findCoordinator.async(connection, GROUP, [groupId]),
    )
    throwFirstError(coordinators)
    const { host, port } = coordinators[0]!
    return { host, port }
  }
  const askOn = async <T extends { errorCode: number }>(
    cluster: typeof promptCluster,
    request: Request<T>,
  ): Promise<T> => {
    try {
      coordinator ??= await findCoordinator()
      const response = await cluster.ask(coordinator, request)
      if (COORDINATOR_ERRORS.has(response.errorCode)) coordinator = null
      return response
    } catch (error) {
      coordinator = null
      throw error
    }
  }

  return {
    ask: request => askOn(promptCluster, request),
    askAndWait: request => askOn(waitingCluster, request),
    async [Symbol.asyncDispose]() {
      await Promise.all([
        promptCluster[Symbol.asyncDispose](),
        waitingCluster[Symbol.asyncDispose](),
      ])
    },
  }
}
