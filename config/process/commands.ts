import type { IncomingMessage } from 'node:http'

const BODY_MAX_BYTES = 64 * 1024
const LOOPBACK = /^(::ffff:)?127\.|^::1$/

/** Runs an operator's command: resolves to the answer, or rejects with CommandRefused. */
export type CommandHandler = (input: Record<string, unknown>) => Promise<object>

/**
 * The input is wrong (HTTP status 400), or the command cannot run now (409, 503). The message says
 * why.
 */
export class CommandRefused extends Error {
  readonly status: number
  constructor(status: 400 | 409 | 503, reason: string) {
    super(reason)
    this.status = status
  }
}

/**
 * Handles a POST with a JSON object of at most 64 KiB. Refuses requests from other machines.
 * Refuses requests of a web page in an operator's browser as well: a browser sends an origin, or
 * may not send JSON.
 */
export async function handleCommand(
  request: IncomingMessage,
  command: CommandHandler,
): Promise<{ status: number; body: object }> {
  const refuse = (status: number, error: string) => ({ status, body: { error } })
  if (!isLocal(request)) return refuse(403, 'only from this machine')
  if (request.method !== 'POST') return refuse(405, 'only POST')
  const { origin, 'content-type': type = '' } = request.headers
  if (origin !== undefined) return refuse(403, 'not from a web page')
  if (!/^application\/json\b/.test(type)) return refuse(415, 'only content-type application/json')
  const text = await readBody(request)
  if (text === null) return refuse(413, `more than ${BODY_MAX_BYTES} bytes`)
  try {
    return { status: 200, body: await command(objectIn(text)) }
  } catch (error) {
    if (!(error instanceof CommandRefused)) throw error
    return refuse(error.status, error.message)
  }
}

/** Whether a request is from loopback, or from the address to which the request was sent. */
function isLocal({ socket: { remoteAddress = '', localAddress } }: IncomingMessage): boolean {
  return LOOPBACK.test(remoteAddress) || remoteAddress === localAddress
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_MAX_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function objectIn(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new CommandRefused(400, 'the body is not a JSON object')
}
