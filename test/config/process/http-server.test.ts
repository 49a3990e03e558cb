import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { serveHttp } from '../../../config/process/http-server.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'

async function serve(reasons: string[]) {
  const port = await findFreePort()
  const options = { key: 'gateway.http', host: '127.0.0.1', port, notReadyReasons: () => reasons }
  const http = await serveHttp({
    ...options,
    alarms: () => ['alarm'],
    identity: () => ({ gateway: 'gw' }),
    metrics: async () => 'a 1\n',
    state: () => ({ b: 2 }),
  })
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  return { http, get }
}

describe('the pages of a process', () => {
  it('answer health, readiness, metrics and state', async () => {
    const { http, get } = await serve([])
    await using _closed = http
    const health = '{"status":"running","gateway":"gw","reasons":[],"alarms":["alarm"]}'
    expect(await get('/health')).toEqual({ status: 200, text: health })
    expect(await get('/ready')).toEqual({ status: 200, text: '{"ready":true,"reasons":[]}' })
    expect(await get('/metrics')).toEqual({ status: 200, text: 'a 1\n' })
    expect(await get('/state')).toEqual({ status: 200, text: '{"b":2}' })
    expect((await get('/other')).status).toBe(404)
  })

  it('report the port that port 0 became', async () => {
    let address = { host: '', port: 0 }
    await using _ = await serveHttp({
      ...{ key: 'gateway.http', host: '127.0.0.1', port: 0, notReadyReasons: () => [] },
      ...{ metrics: async () => '', state: () => ({}) },
      onListening(listening) {
        address = listening
      },
    })
    expect((await fetch(`http://${address.host}:${address.port}/health`)).status).toBe(200)
  })

  it('report why a process is not ready, and that it runs', async () => {
    const { http, get } = await serve(['Kafka is unavailable'])
    await using _closed = http
    expect(await get('/ready')).toMatchObject({ status: 503, text: /Kafka is unavailable/ })
    expect((await get('/health')).status).toBe(200)
  })

  it('name the key when the port is in use', async () => {
    const port = await findFreePort()
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    const options = { key: 'bridge.http', host: '127.0.0.1', port, notReadyReasons: () => [] }
    const serving = serveHttp({ ...options, metrics: async () => '', state: () => ({}) })
    await expect(serving).rejects.toThrow(CannotStart)
    await expect(serving).rejects.toThrow(`bridge.http = 127.0.0.1:${port}: another process`)
    other.close()
  })
})
