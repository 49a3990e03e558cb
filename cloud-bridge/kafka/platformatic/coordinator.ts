import type { KafkaOptions } from '../client.ts'
import { ErrorCode } from '../error-codes.ts'
import { openCluster } from './cluster.ts'
import { type Broker, type Connection, protocol } from './internals.ts'
import { throwFirstError } from './offsets.ts'

/** Kafka's key type for groups in a FindCoordinator request. */
const GROUP = 0
/**
 * The request timeout is at most a session divided by this number, so that a member notices within
 * one session that the coordinator hangs.
 */
const TIMEOUTS_PER_SESSION = 3
/** Error codes which say that the coordinator moved to another broker, or is not ready. */
const COORDINATOR_ERRORS: ReadonlySet<number> = new Set([
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
])

type Request<T> = (connection: Connection) => Promise<T>

/**
 * The broker that coordinates a group. `ask` and `askAndWait` reject when no response arrives; the
 * next request then looks up the coordinator again.
 */
export type Coordinator = AsyncDisposable & {
  ask<T extends { errorCode: number }>(request: Request<T>): Promise<T>
  /**
   * For requests that the coordinator answers only after every member has sent one: the timeout is
   * longer by one session.
   */
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
