import { request as httpRequest } from 'node:http'
import { hostname } from 'node:os'
import { describe, expect, it } from 'vitest'
import { createHostCheck } from '../../../config/process/host-check.ts'
import { serveHttp } from '../../../config/process/http-server.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'

describe('the Host header of a request', () => {
  const check = createHostCheck({ host: '127.0.0.1', hostNames: ['Edge-7.example'] }, 'bridge.http')

  it.each([
    undefined,
    ...['127.0.0.1', '127.0.0.1:9464', '10.1.2.3:9464', '[::1]:9464', '[fe80::1]'],
    ...['localhost', 'LOCALHOST:9464', 'localhost.', 'a.localhost', hostname(), `${hostname()}:80`],
    ...['edge-7.example', 'edge-7.example.:9464'],
  ])('may be %s', header => {
    expect(check(header)).toBe(null)
  })

  it.each([
    ...['attacker.example', 'attacker.example:9464', 'localhost.attacker.example', ''],
    ...['127.0.0.1.attacker.example', 'edge-7.example.attacker', '1.2.3.4.5', '[::1].example'],
    ...['edge-7', 'localhost:9464:1', 'a@localhost', '2130706433', '0x7f.1'],
  ])('may not be %j', header => {
    expect(check(header)).toMatch(/is no name of this process: add the name to bridge\.http\.hostN/)
  })

  it('is checked before every page, command and other path', async () => {
    const port = await findFreePort()
    const run: string[] = []
    await using _http = await serveHttp({
      ...{ key: 'gateway.http', host: '127.0.0.1', port, notReadyReasons: () => [] },
      ...{ metrics: async () => 'a 1\n', state: () => ({}) },
      commands: { '/drop': async () => ({ run: run.push('command') }) },
      fallback: (_request, response) => void response.end(`${run.push('fallback')}`),
    })
    const statusOf = (path: string, host: string, method = 'GET') =>
      new Promise(resolve => {
        const headers = { host, 'content-type': 'application/json' }
        const request = httpRequest({ port, path, method, headers }, response => {
          response.resume()
          resolve(response.statusCode)
        })
        request.end(method === 'POST' ? '{}' : undefined)
      })
    for (const path of ['/health', '/ready', '/metrics', '/state', '/api/readings', '/drop']) {
      expect(await statusOf(path, 'attacker.example:80')).toBe(421)
    }
    expect(await statusOf('/drop', 'attacker.example', 'POST')).toBe(421)
    expect(run).toEqual([])
    expect(await statusOf('/health', `localhost:${port}`)).toBe(200)
    expect(await statusOf('/drop', `127.0.0.1:${port}`, 'POST')).toBe(200)
  })
})
