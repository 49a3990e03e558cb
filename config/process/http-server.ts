import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CommandHandler, handleCommand } from './commands.ts'
import { createHostCheck, type ServedNames } from './host-check.ts'
import { listen } from './listener.ts'

export type HttpOptions = {
  /** The configuration key of host and port, which error messages name. */
  key: string
  port: number
  /** Returns why the process cannot do its work now; empty when the process is ready. */
  notReadyReasons: () => string[]
  /** Returns problems that a person should fix although the process does its work. */
  alarms?: () => string[]
  /** Returns whose process this is, for /health. */
  identity?: () => object
  /** Returns further fields of /health. */
  details?: () => object
  /** Returns the metrics as Prometheus text. */
  metrics: () => Promise<string>
  /** Returns the state of the process for /state and `sluice status`. */
  state: () => object
  /** The commands that the process accepts by POST, by path. */
  commands?: Record<string, CommandHandler>
  /** Answers requests to all other paths. */
  fallback?: RequestListener
  /** Called with the address on which the server listens, with the port that port 0 became. */
  onListening?: (address: { host: string; port: number }) => void
} & ServedNames

/**
 * Serves /health (the process runs), /ready (200, or 503 with the reasons), /metrics (Prometheus
 * text exposition 0.0.4), /state (JSON) and the commands. Refuses requests under another name with
 * status 421 (see createHostCheck). Resolves when the server listens; rejects with CannotStart.
 */
export async function serveHttp(options: HttpOptions) {
  const {
    key,
    notReadyReasons,
    alarms,
    identity,
    details,
    metrics,
    state,
    commands = {},
    fallback: others,
    onListening,
    ...at
  } = options
  const json = (value: object, status = 200) => ({
    status,
    type: 'application/json',
    body: JSON.stringify(value),
  })
  const pages: Record<
    string,
    () => { status: number; type: string; body: string | Promise<string> }
  > = {
    '/health': () =>
      json({
        ...{ status: 'running', ...identity?.() },
        ...{ reasons: notReadyReasons(), alarms: alarms?.() ?? [] },
        ...details?.(),
      }),
    '/ready': () => {
      const reasons = notReadyReasons()
      return json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503)
    },
    '/metrics': () => ({ status: 200, type: 'text/plain; version=0.0.4', body: metrics() }),
    '/state': () => json(state()),
  }
  const hostFault = createHostCheck(at, key)
  const server = createServer(async (request, response) => {
    const fault = hostFault(request.headers.host)
    if (fault !== null) return void response.writeHead(421).end(`${fault}\n`)
    const path = request.url?.split('?')[0] ?? ''
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined
    const command = Object.hasOwn(commands, path) ? commands[path] : undefined
    try {
      if (command) {
        const { status, body } = await handleCommand(request, command)
        // When a body is too long, its unread rest must not be parsed as the next request.
        const headers = { 'content-type': 'application/json', connection: 'close' }
        response.writeHead(status, headers).end(JSON.stringify(body))
        return
      }
      if (!page && others) return others(request, response)
      if (!page || request.method !== 'GET') {
        const paths = [...Object.keys(pages), ...Object.keys(commands)]
        response.writeHead(404).end(`There are ${paths.join(', ')}\n`)
        return
      }
      const { status, type, body } = page()
      const text = await body
      response.writeHead(status, { 'content-type': type }).end(text)
    } catch (error) {
      response.writeHead(500).end(`${(error as Error).message}\n`)
    }
  })
  await listen(server, key, at)
  onListening?.({ host: at.host, port: (server.address() as AddressInfo).port })
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
