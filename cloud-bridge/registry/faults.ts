import { SinkUnavailable } from '../ports/event-sink.ts'
import type { RegistryOptions, RegistryResponse } from './request.ts'

/** What keeps a registry from giving a schema its number. */
export type RegistryFaultKind =
  | 'away'
  | 'not let in'
  | 'not allowed'
  | 'incompatible'
  | 'unknown'
  | 'refused'

/** One line that names the cure. Events wait meanwhile, and it is tried again. */
export class RegistryFault extends SinkUnavailable {
  readonly kind: RegistryFaultKind
  /** What is wrong, without its cure. */
  readonly fault: string
  readonly cure: string | null
  constructor(
    kind: RegistryFaultKind,
    fault: string,
    cure: string | null = null,
    options?: ErrorOptions,
  ) {
    super(cure === null ? fault : `${fault}. ${cure}`, options)
    this.kind = kind
    this.fault = fault
    this.cure = cure
  }
}

/** Which schema under which subject an answer is about. */
export type SchemaReference = { schema: string; file: string; subject: string }

const MESSAGE_MAX_LENGTH = 200
/** Confluent's codes of what is not there: the subject, the version, the schema. */
const NOT_FOUND = [40401, 40402, 40403]
/** What TLS and who checks certificates say, with the cure. */
const TLS_CURES: [code: RegExp, cure: string][] = [
  [/EPROTO/, 'Write http:// in registry.url where it has no TLS'],
  [/ALTNAME/, 'Write the name in registry.url that its certificate has'],
  [/EXPIRED|NOT_YET/, 'Have its certificate renewed, or set the clock'],
  [/CERT|SELF_SIGNED|ISSUER|VERIFY|SSL|TLS/, 'Name who signed its certificate in registry.caFile'],
]
/** What comes of asking without TLS, too, where there is TLS. */
const PLAIN_CURES: typeof TLS_CURES = [
  [/^(ECONNRESET|HPE_.*)$/, 'Write https:// in registry.url where it has TLS'],
]

/** There was no answer. */
export function unreachableFault(url: string, error: unknown): RegistryFault {
  const { code, message, cause } = error as NodeJS.ErrnoException
  const isLate = (cause as Error | undefined)?.name === 'TimeoutError'
  // The cure that Node.js appends is none for who cannot change how it is started.
  const [said = ''] = message.split('; if the root CA')
  const reason = isLate ? 'no answer in time' : oneLine(said || String(code))
  const cures = url.startsWith('https:') ? TLS_CURES : PLAIN_CURES
  const cure = cures.find(([codes]) => codes.test(String(code)))?.[1] ?? null
  const fault = `the schema registry ${url} is away: ${reason}`
  return new RegistryFault('away', fault, cure, { cause: error })
}

/** The answer is none that gives a number. */
export function responseFault(
  { url, username, register }: RegistryOptions,
  answer: RegistryResponse,
  { schema, file, subject }: SchemaReference,
): RegistryFault {
  const { status } = answer
  const said = messageIn(answer)
  const which = `the schema registry ${url}`
  const manual = `register config/schemas/${file} there yourself`
  if (status === 401) {
    const cure = username === null ? 'Set' : 'Check'
    const login = `${cure} registry.username and registry.passwordFile`
    return new RegistryFault('not let in', `${which} does not let us in (401)`, login)
  }
  if (status === 403) {
    const right = register ? 'register' : 'look up'
    const other = register ? `, or ${manual} and set registry.register: false` : ''
    const cure = `Allow ${username ?? 'it'} to do so${other}`
    const fault = `${which} does not let us ${right} ${schema} under ${subject} (403)`
    return new RegistryFault('not allowed', fault, cure)
  }
  if (status === 409) {
    const fault = `${which} takes ${schema} for incompatible with what ${subject} has (409${said})`
    const cure = `Remove there what is none of our schemas, or give the topic another name`
    return new RegistryFault('incompatible', fault, cure)
  }
  if (isNotFound(answer)) {
    const cure = `${manual[0]!.toUpperCase()}${manual.slice(1)}, or set registry.register: true`
    return new RegistryFault('unknown', `${which} has no ${schema} under ${subject}`, cure)
  }
  if (status === 408 || status === 429 || status >= 500) {
    return new RegistryFault('away', `${which} is away: it answers ${status}${said}`)
  }
  if (status === 422) {
    return new RegistryFault('refused', `${which} refuses ${schema} for ${subject} (422${said})`)
  }
  const fault = `what answers at ${url} is no schema registry (${status}${said})`
  return new RegistryFault('refused', fault, 'Check registry.url, with its path')
}

/** Whether a registry says that it does not have what was asked for. */
export function isNotFound({ status, body }: RegistryResponse): boolean {
  return status === 404 && NOT_FOUND.includes((body as { error_code: number })?.error_code)
}

function messageIn({ body }: RegistryResponse): string {
  const { message } = (body ?? {}) as { message?: unknown }
  return typeof message === 'string' && message ? `: ${oneLine(message)}` : ''
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').replace(/[\s.:]+$/, '')
  return line.length > MESSAGE_MAX_LENGTH ? `${line.slice(0, MESSAGE_MAX_LENGTH)}…` : line
}
