import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Config } from '../../config/config.ts'

/** How to reach the schema registry. `signal` aborts all requests. */
export type RegistryOptions = Config['registry'] & { url: string; signal: AbortSignal }

/** A registry's response; `body` is undefined where the body is not JSON. */
export type RegistryResponse = { status: number; body: unknown }

/** The media type of Confluent's REST interface; other registries accept it, too. */
const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

/**
 * Sends one request to a registry: GET, or POST with a body. Rejects when no response arrives
 * within `requestTimeoutMs`, when the TLS certificate is not trusted, and when `signal` aborts.
 */
export async function sendRequest(
  { url, username, password, ca, requestTimeoutMs, signal }: RegistryOptions,
  path: string,
  body?: object,
): Promise<RegistryResponse> {
  const json = body && JSON.stringify(body)
  const options = {
    method: json === undefined ? 'GET' : 'POST',
    headers: {
      accept: `${MEDIA_TYPE}, application/json`,
      ...(json !== undefined && { 'content-type': MEDIA_TYPE }),
    },
    ...(username !== null && { auth: `${username}:${password?.reveal()}` }),
    ...(ca && { ca: ca.reveal() }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    // Requests are months apart: no connection is kept alive.
    agent: false,
  }
  const request = url.startsWith('https:') ? requestHttps : requestHttp
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${url.replace(/\/+$/, '')}${path}`, options, resolve)
      .on('error', reject)
      .end(json)
  })
  return { status: response.statusCode ?? 0, body: parseJson(await text(response)) }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
