import { writeFileSync } from 'node:fs'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { startGatewayProcess, waitOptions } from './gateway-process.ts'
import { readOutbox, temporary } from './store/fixture.ts'

const preload = new URL('stuck-writer.mjs', import.meta.url).href
const HOST = '127.0.0.1'
const topic = 'building/hq/zone/z/sensor/s'

/** Starts the real gateway; `stop` makes its writer thread stand still. */
async function startGateway(writer: { alarmAfterMs: number; endAfterMs: number }) {
  const place = temporary()
  const stopFile = place.file('stop')
  const gateway = await startGatewayProcess({
    ...{ outbox: { writer }, nodeOptions: ['--import', preload] },
    env: { STUCK_WRITER_FILE: stopFile },
  })
  return {
    ...gateway,
    stop: (how: 'lock' | 'call') => writeFileSync(stopFile, how),
    [Symbol.dispose]() {
      gateway[Symbol.dispose]()
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
      .poll(() => gateway.page('/ready'), waitOptions)
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
    await expect.poll(() => gateway.page('/ready'), waitOptions).toMatchObject({ status: 503 })
    gateway.terminate()
    expect(await gateway.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(gateway.log()).toMatch('has not stopped for 8 s: the process kills itself')
  }, 60_000)
})
