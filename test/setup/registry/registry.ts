import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, inject } from 'vitest'
import type { RegistryOptions } from '../../../cloud-bridge/registry/request.ts'
import { defaults } from '../../../config/config.ts'
import type { Certified } from '../certificates.ts'
import { describeWithKafka } from '../kafka/java.ts'

/** A suite that needs Kafka and a schema registry; skipped like describeWithKafka. */
export function describeWithRegistry(name: string, suite: () => void): void {
  const missing = inject('registryMissing')
  if (missing !== null && process.env.CI) throw new Error(`${name}: ${missing}`)
  describe.skipIf(missing !== null)(name, () => describeWithKafka(name, suite))
}

/**
 * `pass` forwards requests, `cut` destroys their connections, `silent` leaves them without a
 * response; an object is the response.
 */
type GateMode = 'pass' | 'cut' | 'silent' | { status: number; body: string }

/** How to reach a registry, with a request timeout of 1 s. */
export function registryAt(url: string, more: Partial<RegistryOptions> = {}): RegistryOptions {
  const { signal } = new AbortController()
  return { ...defaults.registry, url, signal, requestTimeoutMs: 1000, ...more }
}

/** The required log-in and the TLS certificate of a gate; by default neither. */
type GateOptions = { login?: string; certified?: Certified }

/** Starts a gate before the registry that all test files share; the gate can fail requests. */
export async function startRegistryGate({ login, certified }: GateOptions = {}) {
  let mode: GateMode = 'pass'
  const requests: string[] = []
  const logins = new Set<string | undefined>()
  const expected = login && `Basic ${Buffer.from(login).toString('base64')}`
  const onRequest: RequestListener = async (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const { authorization } = request.headers
    logins.add(authorization)
    const body = await text(request)
    if (expected && authorization !== expected) return respond(response, 401, '{"error_code":401}')
    if (mode === 'silent') return
    if (mode === 'cut') request.socket.destroy()
    else if (mode !== 'pass') respond(response, mode.status, mode.body)
    else {
      const { method = 'GET', headers } = request
      const type = headers['content-type']
      const init = method === 'GET' ? {} : { body, headers: { 'content-type': type! } }
      const forwarded = await fetch(`${inject('registryUrl')}${request.url}`, { method, ...init })
      respond(response, forwarded.status, await forwarded.text())
    }
  }
  const tlsServer = certified && createTlsServer(certified, onRequest)
  const server = tlsServer ?? createServer(onRequest)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `${tlsServer ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The requests so far, as `METHOD path`. */
    requests,
    /** The authorization headers so far. */
    logins,
    set mode(next: GateMode) {
      mode = next
    },
    /** The certificate for new connections, where the gate has TLS. */
    set certified(next: Certified) {
      tlsServer!.setSecureContext(next)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function respond(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
