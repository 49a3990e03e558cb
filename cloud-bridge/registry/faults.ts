import { SinkUnavailable } from '../ports/event-sink.ts'
import type { RegistryOptions, RegistryResponse } from './request.ts'

/** Why a registry gives no id for a schema. */
export type RegistryFaultKind =
  | 'unavailable'
  | 'not authenticated'
  | 'not authorized'
  | 'incompatible'
  | 'not registered'
  | 'refused'

/** The message is one line that names the cure. Events wait meanwhile, and the bridge retries. */
export class RegistryFault extends SinkUnavailable {
  readonly kind: RegistryFaultKind
  /** The message without the cure. */
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

/** The schema, its file in config/schemas and the subject that a request is about. */
export type SchemaReference = { schema: string; file: string; subject: string }

const MESSAGE_MAX_LENGTH = 200
/** Confluent's error codes for a missing subject, version and schema. */
const NOT_FOUND = [40401, 40402, 40403]
/** Cures by the error codes of TLS and certificate verification. */
const TLS_CURES: [code: RegExp, cure: string][] = [
  [/EPROTO/, 'Write http:// in registry.url if the registry has no TLS'],
  [/ALTNAME/, 'Write the host name of its certificate in registry.url'],
  [/EXPIRED|NOT_YET/, 'Renew its certificate, or set the clock'],
  [
    /CERT|SELF_SIGNED|ISSUER|VERIFY|SSL|TLS/,
    'Name the authority of its certificate in registry.caFile',
  ],
]
/** Cures for errors that a request without TLS gets from a TLS port. */
const PLAIN_CURES: typeof TLS_CURES = [
  [/^(ECONNRESET|HPE_.*)$/, 'Write https:// in registry.url if the registry has TLS'],
]

/** The fault for a request without a response. */
export function unreachableFault(url: string, error: unknown): RegistryFault {
  const { code, message, cause } = error as NodeJS.ErrnoException
  const isTimeout = (cause as Error | undefined)?.name === 'TimeoutError'
  // Cuts off the cure that Node.js appends, because that cure needs start options of Node.js that
  // the operator cannot set here.
  const [text = ''] = message.split('; if the root CA')
  const reason = isTimeout ? 'no answer in time' : oneLine(text || String(code))
  const cures = url.startsWith('https:') ? TLS_CURES : PLAIN_CURES
  const cure = cures.find(([codes]) => codes.test(String(code)))?.[1] ?? null
  const fault = `the schema registry ${url} is unavailable: ${reason}`
  return new RegistryFault('unavailable', fault, cure, { cause: error })
}

/** The fault for a response that does not contain the requested schema id or schemas. */
export function responseFault(
  { url, username, register }: RegistryOptions,
  response: RegistryResponse,
  { schema, file, subject }: SchemaReference,
): RegistryFault {
  const { status } = response
  const details = messageIn(response)
  const registry = `the schema registry ${url}`
  const manually = `config/schemas/${file} there yourself`
  if (status === 401) {
    const [fault, cure] =
      username === null
        ? [`${registry} requires a log-in (401)`, 'Set registry.username and registry.passwordFile']
        : [
            `${registry} rejects the log-in of ${username} (401)`,
            'Check registry.username and registry.passwordFile',
          ]
    return new RegistryFault('not authenticated', fault, cure)
  }
  if (status === 403) {
    const operation = register ? 'register' : 'look up'
    const user = username ?? 'this client'
    const alternative = register ? `, or register ${manually} and set registry.register: false` : ''
    const request = `${operation} ${schema} under ${subject}`
    const fault = `${registry} does not allow ${user} to ${request} (403)`
    return new RegistryFault('not authorized', fault, `Grant that right${alternative}`)
  }
  if (status === 409) {
    const fault = `${registry} rejects ${schema} as incompatible with ${subject} (409${details})`
    const cure = "Remove other programs' schemas from the subject, or give the topic another name"
    return new RegistryFault('incompatible', fault, cure)
  }
  if (isNotFound(response)) {
    const cure = `Register ${manually}, or set registry.register: true`
    return new RegistryFault(
      'not registered',
      `${registry} has no ${schema} under ${subject}`,
      cure,
    )
  }
  if (status === 408 || status === 429 || status >= 500) {
    return new RegistryFault(
      'unavailable',
      `${registry} is unavailable: it answers ${status}${details}`,
    )
  }
  if (status === 422) {
    return new RegistryFault(
      'refused',
      `${registry} refuses ${schema} for ${subject} (422${details})`,
    )
  }
  const fault = `the server at ${url} is not a schema registry (${status}${details})`
  return new RegistryFault('refused', fault, 'Check registry.url, with its path')
}

/** Whether a registry says that it does not have the requested subject, version or schema. */
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
