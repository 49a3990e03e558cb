import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { describe, expect, it } from 'vitest'
import { CommandFailed, sendCommand } from '../../../config/process/command-request.ts'
import { type CommandHandler, CommandRefused } from '../../../config/process/commands.ts'
import { serveHttp } from '../../../config/process/http-server.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'

const otherAddress = Object.values(networkInterfaces())
  .flat()
  .find(entry => entry?.family === 'IPv4' && !entry.internal)?.address

async function serve(host = '127.0.0.1') {
  const port = await findFreePort()
  const inputs: unknown[] = []
  const command: CommandHandler = async input => {
    inputs.push(input)
    if (input.wrong) throw new CommandRefused(409, 'not now')
    if (input.bug) throw new Error('a bug')
    return { got: input }
  }
  const pages = { notReadyReasons: () => [], metrics: async () => '', state: () => ({}) }
  const commands = { '/do': command }
  const http = await serveHttp({ key: 'gateway.http', host, port, ...pages, commands })
  const post = async (
    body: string,
    headers: Record<string, string> = {},
    { path = '/do', ...from }: { path?: string; localAddress?: string } = {},
  ) => {
    const type = { 'content-type': 'application/json' }
    const outgoing = request(
      { host: '127.0.0.1', port, path, method: 'POST', headers: { ...type, ...headers }, ...from },
      () => {},
    )
    outgoing.on('error', () => {})
    outgoing.end(body)
    const [response] = await once(outgoing, 'response')
    let text = ''
    for await (const chunk of response) text += chunk
    return { status: response.statusCode, text }
  }
  return { http, port, inputs, post }
}

describe('a command of a process', () => {
  it('receives an object and answers with an object', async () => {
    const { http, post, inputs } = await serve()
    await using _closed = http
    expect(await post('{"a":1}')).toEqual({ status: 200, text: '{"got":{"a":1}}' })
    expect(await post('{"wrong":true}')).toEqual({ status: 409, text: '{"error":"not now"}' })
    expect(await post('{"bug":true}')).toEqual({ status: 500, text: 'a bug\n' })
    expect(inputs).toHaveLength(3)
  })

  it.each([
    ['no JSON', '{', {}, 400],
    ['no object', '[]', {}, 400],
    ['null', 'null', {}, 400],
    ['more than 64 KiB', JSON.stringify({ a: 'x'.repeat(65_536) }), {}, 413],
    ['a form', '{}', { 'content-type': 'text/plain' }, 415],
    ['from a web page', '{}', { origin: 'http://localhost:9464' }, 403],
  ])('refuses %s', async (_, body, headers, status) => {
    const { http, post, inputs } = await serve()
    await using _closed = http
    expect((await post(body, headers)).status).toBe(status)
    expect(inputs).toEqual([])
  })

  it('is not readable as a page, and pages accept no commands', async () => {
    const { http, port, post } = await serve()
    await using _closed = http
    expect((await fetch(`http://127.0.0.1:${port}/do`)).status).toBe(405)
    expect((await post('{}', {}, { path: '/state' })).status).toBe(404)
    expect((await post('{}', {}, { path: '/toString' })).status).toBe(404)
  })

  it.skipIf(!otherAddress)(
    'is accepted from this machine at every address of the machine',
    async () => {
      const { http, port } = await serve('0.0.0.0')
      await using _closed = http
      expect(await sendCommand({ host: otherAddress!, port }, '/do', { a: 1 })).toEqual({
        got: { a: 1 },
      })
      expect(await sendCommand({ host: '0.0.0.0', port }, '/do', { a: 1 })).toEqual({
        got: { a: 1 },
      })
    },
  )
})

// Another address of this machine stands for another machine.
it.skipIf(!otherAddress)('a command from another address is refused', async () => {
  const { http, post, inputs } = await serve()
  await using _closed = http
  const refused = { status: 403, text: '{"error":"only from this machine"}' }
  expect(await post('{}', {}, { localAddress: otherAddress! })).toEqual(refused)
  expect(inputs).toEqual([])
})

describe('sending a command', () => {
  it('returns null when no process runs', async () => {
    expect(await sendCommand({ host: '127.0.0.1', port: await findFreePort() }, '/do', {})).toBe(
      null,
    )
  })

  it('rejects with the reason of a refusal, and when another program answers', async () => {
    const { http, port } = await serve()
    await using _closed = http
    const refused = sendCommand({ host: '127.0.0.1', port }, '/do', { wrong: true })
    await expect(refused).rejects.toThrow(CommandFailed)
    await expect(refused).rejects.toThrow('refuses: not now')
    const failed = sendCommand({ host: '127.0.0.1', port }, '/do', { bug: true })
    await expect(failed).rejects.toThrow(/\/do failed: a bug$/)
    const other = createServer((_, response) => response.end('<html>')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port: otherPort } = other.address() as { port: number }
    const answered = sendCommand({ host: '127.0.0.1', port: otherPort }, '/do', {})
    await expect(answered).rejects.toThrow('is not this version')
    other.close()
  })
})
