import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Config } from '../../config/config.ts'

/** How to reach the schema registry. */
export type RegistryOptions = Config['registry'] & { url: string; signal: AbortSignal }

/** What a registry answered; `body` is undefined where that is no JSON. */
export type RegistryResponse = { status: number; body: unknown }

/** The media type of Confluent's REST interface; others speak it, too. */
const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

/**
 * Asks a registry once: GET, or POST with a body. Rejects when there is no answer within
 * `requestTimeoutMs`, when it cannot be trusted (TLS), and when asked to end.
 */
export async function sendRequest(
  { url, username, password, ca, requestTimeoutMs, signal }: RegistryOptions,
  path: string,
  body?: object,
): Promise<RegistryResponse> {
  const sent = body && JSON.stringify(body)
  const options = {
    method: sent === undefined ? 'GET' : 'POST',
    headers: {
      accept: `${MEDIA_TYPE}, application/json`,
      ...(sent !== undefined && { 'content-type': MEDIA_TYPE }),
    },
    ...(username !== null && { auth: `${username}:${password?.reveal()}` }),
    ...(ca && { ca: ca.reveal() }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    // It is asked a few times in months: no connection is kept for it.
    agent: false,
  }
  const send = url.startsWith('https:') ? overHttps : overHttp
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    send(`${url.replace(/\/+$/, '')}${path}`, options, resolve)
      .on('error', reject)
      .end(sent)
  })
  return { status: answer.statusCode ?? 0, body: jsonIn(await text(answer)) }
}

function jsonIn(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
