import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, inject } from 'vitest'
import type { RegistryOptions } from '../../../cloud-bridge/registry/request.ts'
import { defaults } from '../../../config/config.ts'
import type { Certified } from '../certificates.ts'
import { describeWithKafka } from '../kafka/java.ts'

/** A suite that needs a Kafka and a schema registry, skipped as describeWithKafka does it. */
export function describeWithRegistry(name: string, suite: () => void): void {
  const missing = inject('registryMissing')
  if (missing !== null && process.env.CI) throw new Error(`${name}: ${missing}`)
  describe.skipIf(missing !== null)(name, () => describeWithKafka(name, suite))
}

/** What comes of a request: it reaches the registry, gets no answer, or this one. */
type Mode = 'pass' | 'cut' | 'silent' | { status: number; body: string }

/** How to reach a registry; requests are given up after a second. */
export function registryAt(url: string, more: Partial<RegistryOptions> = {}): RegistryOptions {
  const { signal } = new AbortController()
  return { ...defaults.registry, url, signal, requestTimeoutMs: 1000, ...more }
}

/** Who is let through a gate, and what it shows; if not given, everybody, and without TLS. */
type Guard = { login?: string; certified?: Certified }

/** A way of one's own to the registry that all files of a run share, which can be closed. */
export async function startRegistryGate({ login, certified }: Guard = {}) {
  let mode: Mode = 'pass'
  const asked: string[] = []
  const logins = new Set<string | undefined>()
  const expected = login && `Basic ${Buffer.from(login).toString('base64')}`
  const answer: RequestListener = async (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const { authorization } = request.headers
    logins.add(authorization)
    const body = await text(request)
    if (expected && authorization !== expected) return end(response, 401, '{"error_code":401}')
    if (mode === 'silent') return
    if (mode === 'cut') request.socket.destroy()
    else if (mode !== 'pass') end(response, mode.status, mode.body)
    else {
      const { method = 'GET', headers } = request
      const type = headers['content-type']
      const sent = method === 'GET' ? {} : { body, headers: { 'content-type': type! } }
      const said = await fetch(`${inject('registryUrl')}${request.url}`, { method, ...sent })
      end(response, said.status, await said.text())
    }
  }
  const overTls = certified && createTlsServer(certified, answer)
  const server = overTls ?? createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `${overTls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** What it was asked so far. */
    asked,
    /** How who asked logged in. */
    logins,
    set mode(next: Mode) {
      mode = next
    },
    /** What is shown to new connections, where there is TLS. */
    set certified(next: Certified) {
      overTls!.setSecureContext(next)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function end(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
