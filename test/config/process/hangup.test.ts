import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { openWorkspace } from '../../gateway/inspect/command.ts'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))
const closedTerminal = fileURLToPath(new URL('closed-terminal.py', import.meta.url))
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0
const waitMs = { timeout: 60_000, interval: 50 }

async function openPlace() {
  const [mqtt, gateway, bridge] = [await findFreePort(), await findFreePort(), await findFreePort()]
  return openWorkspace({
    gateway: { mqtt: { port: mqtt }, http: { port: gateway } },
    bridge: { http: { port: bridge } },
    log: { level: 'debug' },
  })
}

describe('SIGHUP', () => {
  it('is logged and ignored by gateway and bridge', async () => {
    using place = await openPlace()
    for (const [part, started] of [
      ['gateway', 'accepting'],
      ['bridge', 'forwarding'],
    ] as const) {
      const { child, output, ended } = place.start(part)
      await expect.poll(() => output.stdout, waitMs).toContain(started)
      child.kill('SIGHUP')
      await expect.poll(() => output.stdout, waitMs).toContain('SIGHUP is ignored: SIGTERM stops')
      child.kill('SIGHUP')
      child.kill('SIGTERM')
      const { code, stdout } = await ended
      expect([part, code, stdout.includes('"stopping"')]).toEqual([part, 0, true])
    }
  }, 180_000)

  it('is reported and ignored by a command without a terminal', async () => {
    using place = await openPlace()
    const gateway = place.start('gateway')
    await expect.poll(() => gateway.output.stdout, waitMs).toContain('accepting')
    const { child, output, ended } = place.start('simulate', '--rate', '10')
    await expect.poll(() => output.stderr, waitMs).toContain('publishing to')
    child.kill('SIGHUP')
    await expect.poll(() => output.stderr, waitMs).toContain('SIGHUP is ignored')
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
    gateway.child.kill('SIGTERM')
    await gateway.ended
  }, 180_000)

  it.skipIf(!hasPython)(
    'of a closed terminal does not end a gateway, nor do its log lines',
    async () => {
      using place = await openPlace()
      const port = await findFreePort()
      const env = {
        ...process.env,
        SLUICE_CONFIG: place.file('sluice.yaml'),
        SLUICE_GATEWAY_HTTP_PORT: String(port),
      }
      const command = [process.execPath, launcher, 'gateway']
      const args = [closedTerminal, 'accepting', `http://127.0.0.1:${port}/health`, ...command]
      const { stdout } = spawnSync('python3', args, { env, encoding: 'utf8', timeout: 120_000 })
      expect(stdout).toBe('200\n200\n200\n0\n')
    },
    180_000,
  )
})
