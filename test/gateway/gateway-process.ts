import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import { findFreePort } from '../../simulators/kafka/free-port.ts'
import { temporary } from './store/fixture.ts'

const main = fileURLToPath(new URL('../../gateway/main.ts', import.meta.url))
const HOST = '127.0.0.1'

/** How long a test waits for a gateway in a process of its own. */
export const waitOptions = { timeout: 40_000, interval: 50 }

export type GatewayProcessOptions = {
  /** Keys of `gateway.mqtt`. */
  mqtt?: object
  /** Keys of `outbox`. */
  outbox?: object
  /** Options of Node. */
  nodeOptions?: readonly string[]
  env?: Record<string, string>
}

/** Starts the real gateway in a process of its own; resolves when the gateway is ready. */
export async function startGatewayProcess(options: GatewayProcessOptions = {}) {
  const { mqtt = {}, outbox = {}, nodeOptions = [], env = {} } = options
  const place = temporary()
  const [port, http] = [await findFreePort(), await findFreePort()]
  const [file, outboxFile] = [place.file('sluice.yaml'), place.file('outbox.db')]
  const config = {
    gateway: { mqtt: { port, ...mqtt }, http: { port: http } },
    outbox: { file: outboxFile, ...outbox },
    inbox: { file: place.file('inbox.db') },
  }
  writeFileSync(file, stringify(config))
  const child = spawn(process.execPath, [...nodeOptions, main, '--config', file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', data => {
      log += data
    })
  }
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  const page = async (path: string) => {
    const response = await fetch(`http://${HOST}:${http}${path}`).catch(() => null)
    const body = (await response?.json()) as { alarms?: string[] } | undefined
    return { status: response?.status, body }
  }
  await expect.poll(() => page('/ready'), waitOptions).toMatchObject({ status: 200 })
  return {
    ...{ mqtt: port, http, outboxFile, exited, page },
    log: () => log,
    terminate: () => child.kill('SIGTERM'),
    [Symbol.dispose]() {
      child.kill('SIGKILL')
      place[Symbol.dispose]()
    },
  }
}
