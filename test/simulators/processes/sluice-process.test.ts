import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { startSluiceProcess } from '../../../simulators/processes/sluice-process.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-process-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Starts a gateway that first runs some code, as a slow or a failing machine would. */
async function startGateway(code: string, signal?: AbortSignal) {
  const [port, mqtt] = [await findFreePort(), await findFreePort()]
  const file = join(dir, 'first.mjs')
  writeFileSync(
    file,
    `import { isMainThread } from 'node:worker_threads'
    const isGateway = process.argv[1]?.endsWith('gateway/main.ts') && isMainThread
    if (isGateway && !process.argv.includes('--help')) { ${code} }`,
  )
  const lines: string[] = []
  const http = { host: '127.0.0.1', port }
  const started = startSluiceProcess('gateway', http, {
    env: {
      ...process.env,
      NODE_OPTIONS: `--import ${pathToFileURL(file).href}`,
      SLUICE_GATEWAY_HTTP_PORT: String(port),
      SLUICE_GATEWAY_MQTT_PORT: String(mqtt),
      SLUICE_OUTBOX_FILE: join(dir, 'outbox.db'),
      SLUICE_INBOX_FILE: join(dir, 'inbox.db'),
    },
    logDir: dir,
    onProblem: line => lines.push(line),
    signal,
  })
  return { started, lines }
}

describe('the start of a process', () => {
  it('is waited for as long as the process lives, and the wait is reported', async () => {
    const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 16_000)'
    const { started, lines } = await startGateway(wait)
    await using gateway = await started
    expect(gateway.restarts).toBe(0)
    expect(lines[0]).toMatch(
      /^waiting for the gateway for 1\d s: process \d+ runs and does not ans/,
    )
  }, 120_000)

  it('is given up after five exits, with the last line of the log', async () => {
    const { started, lines } = await startGateway('console.log("no luck"); process.exit(1)')
    await expect(started).rejects.toThrow(/^gateway did not start: no luck \(/)
    expect(lines.filter(line => /exit code 1/.test(line))).toHaveLength(5)
  }, 120_000)

  it('is given up after exit code 2, which one line names once', async () => {
    const { started, lines } = await startGateway('process.exit(2)')
    await expect(started).rejects.toThrow(/^gateway did not start: /)
    expect(lines).toEqual([
      expect.stringMatching(
        /^gateway ended \(exit code 2\): wrong configuration, or already running; see /,
      ),
    ])
  }, 120_000)

  it('ends with the signal', async () => {
    const stopping = new AbortController()
    const { started } = await startGateway('setInterval(() => {}, 1000); await 0', stopping.signal)
    const reason = new Error('Ctrl-C')
    stopping.abort(reason)
    await expect(started).rejects.toBe(reason)
  }, 120_000)
})
