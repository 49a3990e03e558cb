import { ErrorCode, errorCodeName } from './error-codes.ts'
import { errorReason } from './error-reasons.ts'

type ErrorWithCauses = Error & { cause?: unknown; originalError?: unknown; errors?: unknown[] }

/**
 * Error codes by which a broker rejects records permanently, however often the same records are
 * sent. MESSAGE_TOO_LARGE (a batch above `max.message.bytes`) and RECORD_LIST_TOO_LARGE (a batch
 * above `segment.bytes`) may be about the batch alone: the sink sends the records again in halves.
 * INVALID_TIMESTAMP is not among them: a topic that keeps the sender's time refuses every record
 * while a clock is wrong, and accepts the same records once the topic or the clock is fixed.
 */
const PERMANENT_REJECTIONS: ReadonlySet<number> = new Set([
  ErrorCode.MESSAGE_TOO_LARGE,
  ErrorCode.RECORD_LIST_TOO_LARGE,
  ErrorCode.INVALID_RECORD,
])
/** Error codes after which the producer id and its sequences are unusable. */
const INVALID_PRODUCER: ReadonlySet<number> = new Set([
  ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.UNKNOWN_PRODUCER_ID,
])
const NOT_AUTHORIZED: ReadonlySet<number> = new Set([
  ErrorCode.TOPIC_AUTHORIZATION_FAILED,
  ErrorCode.GROUP_AUTHORIZATION_FAILED,
])

/** An error and all its causes, outermost first: client libraries wrap the broker's error. */
export function causesOf(error: unknown): Error[] {
  if (!(error instanceof Error)) return []
  const { cause, originalError, errors = [] } = error as ErrorWithCauses
  const causes = [cause, originalError, ...errors].filter(inner => inner !== error)
  return [error, ...causes.flatMap(causesOf)]
}

/** The broker's error codes in an error: `code` in kafkajs, `apiCode` in @platformatic/kafka. */
export const brokerErrorCodes = (error: unknown) =>
  causesOf(error)
    .flatMap((cause: Error & { code?: unknown; apiCode?: unknown }) => [cause.code, cause.apiCode])
    .filter(code => typeof code === 'number')

/** The name of the error code by which the broker rejected a record permanently, or null. */
export function permanentRejection(error: unknown): string | null {
  const code = brokerErrorCodes(error).find(candidate => PERMANENT_REJECTIONS.has(candidate))
  return code === undefined ? null : errorCodeName(code)
}

/** Whether the broker has no such topic. */
export const isNoSuchTopic = (error: unknown) =>
  brokerErrorCodes(error).includes(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

/** Whether the broker denies this user the operation on the topic or the group. */
export const isNotAuthorized = (error: unknown) =>
  brokerErrorCodes(error).some(code => NOT_AUTHORIZED.has(code))

/** Whether the producer must be created again before it can send. */
export function isProducerInvalid(error: unknown): boolean {
  return brokerErrorCodes(error).some(code => INVALID_PRODUCER.has(code))
}

/**
 * One line for a person: the known reason with its cure; otherwise the outermost message, and the
 * innermost message if that adds something. With the configured `brokers` the reason says whether
 * an unreachable address comes from the configuration or from Kafka's `advertised.listeners`.
 */
export function describeError(error: unknown, brokers: readonly string[] = []): string {
  const causes = causesOf(error)
  const [outer = String(error)] = causes.map(({ message }) => message)
  const inner = causes.at(-1)?.message ?? outer
  return errorReason(causes, brokers) ?? (outer.includes(inner) ? outer : `${outer} (${inner})`)
}
