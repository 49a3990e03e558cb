import { type Broker, type Connection, findCoordinatorV3 } from '@platformatic/kafka'
import type { KafkaOptions } from '../client.ts'
import { openCluster } from './cluster.ts'
import { throwFirstError } from './offsets.ts'

/** Kafka's number for a group among what has a coordinator. */
const GROUP = 0
/** A request to a broker that hangs is given up so often within a session. */
const TRIES_A_SESSION = 3
/** It is elsewhere, or not ready (org.apache.kafka Errors). */
const LOOK_AGAIN = new Set([14, 15, 16])

type Question<T> = (via: Connection) => Promise<T>

/** The broker that keeps a group. Both reject when there is no answer; then it is looked for. */
export type Coordinator = AsyncDisposable & {
  ask<T extends { errorCode: number }>(question: Question<T>): Promise<T>
  /** Asks what is answered only when every member has asked: within a session. */
  askAndWait<T extends { errorCode: number }>(question: Question<T>): Promise<T>
}

export function openCoordinator(
  options: KafkaOptions,
  groupId: string,
  sessionMs: number,
): Coordinator {
  const requestTimeoutMs = Math.min(options.requestTimeoutMs, sessionMs / TRIES_A_SESSION)
  const asking = openCluster({ ...options, requestTimeoutMs })
  // On connections of its own, because a broker answers one request of a connection at a time.
  const waiting = openCluster({
    ...options,
    requestTimeoutMs: sessionMs + options.requestTimeoutMs,
  })
  let known: Broker | null = null

  const find = async (): Promise<Broker> => {
    const found = await asking.askAny(via => findCoordinatorV3.api.async(via, GROUP, [groupId]))
    throwFirstError(found.coordinators)
    const { host, port } = found.coordinators[0]!
    return { host, port }
  }
  const askOn = async <T extends { errorCode: number }>(
    cluster: typeof asking,
    question: Question<T>,
  ): Promise<T> => {
    try {
      known ??= await find()
      const answer = await cluster.ask(known, question)
      if (LOOK_AGAIN.has(answer.errorCode)) known = null
      return answer
    } catch (error) {
      known = null
      throw error
    }
  }

  return {
    ask: question => askOn(asking, question),
    askAndWait: question => askOn(waiting, question),
    async [Symbol.asyncDispose]() {
      await Promise.all([asking[Symbol.asyncDispose](), waiting[Symbol.asyncDispose]()])
    },
  }
}
