import { errorReason } from './error-reasons.ts'

type Caused = Error & { cause?: unknown; originalError?: unknown; errors?: unknown[] }

/**
 * Broker error codes by which one record is refused for good, however often it is sent. Not
 * INVALID_TIMESTAMP (32): a topic that takes the sender's time refuses everything while a clock is
 * wrong, and takes it when topic or clock are mended.
 */
const REFUSED_FOR_GOOD = new Map([
  [10, 'MESSAGE_TOO_LARGE'],
  [87, 'INVALID_RECORD'],
])
const UNKNOWN_TOPIC = 3
const TOPIC_NOT_ALLOWED = 29
const GROUP_NOT_ALLOWED = 30
/** Codes after which a producer's numbers are of no use: it must be made anew. */
const PRODUCER_IS_LOST = new Set([45, 47, 59])

/** An error and all its causes, outermost first: a client wraps what the broker said. */
export function causesOf(error: unknown): Error[] {
  if (!(error instanceof Error)) return []
  const { cause, originalError, errors = [] } = error as Caused
  return [
    error,
    ...[cause, originalError, ...errors].filter(one => one !== error).flatMap(causesOf),
  ]
}

/** What the broker said, in numbers: `code` in kafkajs, `apiCode` in @platformatic/kafka. */
export const brokerErrorCodes = (error: unknown) =>
  causesOf(error)
    .flatMap((one: Error & { code?: unknown; apiCode?: unknown }) => [one.code, one.apiCode])
    .filter(code => typeof code === 'number')

/** Why the broker will never take what was sent, or null when that is not what the error says. */
export function permanentRejection(error: unknown): string | null {
  const code = brokerErrorCodes(error).find(one => REFUSED_FOR_GOOD.has(one))
  return code === undefined ? null : REFUSED_FOR_GOOD.get(code)!
}

/** Whether the broker knows of no such topic. */
export const isNoSuchTopic = (error: unknown) => brokerErrorCodes(error).includes(UNKNOWN_TOPIC)

/** Whether the broker does not let us do this with the topic or the group. */
export const isNotAuthorized = (error: unknown) =>
  brokerErrorCodes(error).some(code => code === TOPIC_NOT_ALLOWED || code === GROUP_NOT_ALLOWED)

/** Whether the producer must be made anew before it can send. */
export function isProducerInvalid(error: unknown): boolean {
  return brokerErrorCodes(error).some(code => PRODUCER_IS_LOST.has(code))
}

/**
 * One line for a person: what is wrong and where to look, if that is known; else the outermost
 * message and the innermost, if it says more.
 */
export function describeError(error: unknown): string {
  const causes = causesOf(error)
  const [outer = String(error)] = causes.map(({ message }) => message)
  const inner = causes.at(-1)?.message ?? outer
  return errorReason(causes) ?? (outer.includes(inner) ? outer : `${outer} (${inner})`)
}
