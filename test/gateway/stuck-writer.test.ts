import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { findFreePort } from '../../simulators/kafka/free-port.ts'
import { readOutbox, temporary } from './store/fixture.ts'

const main = fileURLToPath(new URL('../../gateway/main.ts', import.meta.url))
const preload = new URL('stuck-writer.mjs', import.meta.url).href
const HOST = '127.0.0.1'
const PATIENCE = { timeout: 40_000, interval: 50 }
const topic = 'building/hq/zone/z/sensor/s'

/** Starts the real gateway; `stop` makes its writer thread stand still. */
async function startGateway(writer: { alarmAfterMs: number; endAfterMs: number }) {
  const place = temporary()
  const [mqtt, http] = [await findFreePort(), await findFreePort()]
  const [file, stopFile] = [place.file('sluice.yaml'), place.file('stop')]
  const outboxFile = place.file('outbox.db')
  const config = {
    gateway: { mqtt: { port: mqtt }, http: { port: http } },
    outbox: { file: outboxFile, writer },
    inbox: { file: place.file('inbox.db') },
  }
  writeFileSync(file, stringify(config))
  const child = spawn(process.execPath, ['--import', preload, main, '--config', file], {
    env: { ...process.env, STUCK_WRITER_FILE: stopFile },
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
  await expect.poll(() => page('/ready'), PATIENCE).toMatchObject({ status: 200 })
  return {
    ...{ mqtt, outboxFile, exited, page },
    log: () => log,
    terminate: () => child.kill('SIGTERM'),
    stop: (how: 'lock' | 'call') => writeFileSync(stopFile, how),
    [Symbol.dispose]() {
      child.kill('SIGKILL')
      place[Symbol.dispose]()
    },
  }
}

const silence = /the writer thread has not answered for \d+ s/

describe('a writer thread that stands still', () => {
  it('makes the gateway not ready and raises an alarm; the gateway ends to be started again', async () => {
    using gateway = await startGateway({ alarmAfterMs: 1000, endAfterMs: 6000 })
    const client = await connectAsync(`mqtt://${HOST}:${gateway.mqtt}`, { reconnectPeriod: 0 })
    client.on('error', () => {})
    await client.publishAsync(topic, '{"n":1}', { qos: 1 })
    gateway.stop('lock')
    client.publishAsync(topic, '{"n":2}', { qos: 1 }).catch(() => {})
    await expect
      .poll(() => gateway.page('/ready'), PATIENCE)
      .toMatchObject({
        status: 503,
        body: { ready: false, reasons: [expect.stringMatching(silence)] },
      })
    const { body } = await gateway.page('/health')
    expect(body?.alarms).toEqual([expect.stringMatching(silence)])
    expect(await gateway.exited).toEqual({ code: 1, signal: null })
    expect(gateway.log()).toMatch(silence)
    expect(readOutbox(gateway.outboxFile).events).toHaveLength(1)
    client.end(true)
  }, 60_000)

  it('in a system call ends the process all the same', async () => {
    using gateway = await startGateway({ alarmAfterMs: 500, endAfterMs: 1500 })
    gateway.stop('call')
    expect(await gateway.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(gateway.log()).toMatch('cannot be ended: the process kills itself')
  }, 60_000)

  it('in a system call does not outlive a stop', async () => {
    using gateway = await startGateway({ alarmAfterMs: 500, endAfterMs: 600_000 })
    gateway.stop('call')
    await expect.poll(() => gateway.page('/ready'), PATIENCE).toMatchObject({ status: 503 })
    gateway.terminate()
    expect(await gateway.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(gateway.log()).toMatch('has not stopped for 8 s: the process kills itself')
  }, 60_000)
})
