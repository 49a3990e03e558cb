import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { openWorkspace } from '../../gateway/inspect/command.ts'
import { cacheDir, describeWithKafka } from '../../setup/kafka/java.ts'

const waitMs = { timeout: 120_000, interval: 100 }

async function openPlace() {
  const ports = await Promise.all(Array.from({ length: 5 }, findFreePort))
  const [mqtt, gateway, bridge, analytics, archive] = ports
  const place = openWorkspace({
    gateway: { mqtt: { port: mqtt }, http: { port: gateway } },
    bridge: { http: { port: bridge } },
    outbox: { heartbeatMs: 500 },
    consumers: {
      dir: 'unset',
      analytics: { http: { port: analytics } },
      archive: { http: { port: archive }, dir: 'unset' },
    },
  })
  const dir = dirname(place.outboxFile)
  const env = {
    SLUICE_CACHE: cacheDir,
    SLUICE_OUTBOX_FILE: place.outboxFile,
    SLUICE_CONSUMERS_DIR: join(dir, 'consumers'),
    SLUICE_CONSUMERS_ARCHIVE_DIR: join(dir, 'archive'),
  }
  return { place, dir, env, ports }
}

describeWithKafka('sluice up', () => {
  it('prints what runs, lets other commands find its Kafka, and stops step by step', async () => {
    const { place, dir, env, ports } = await openPlace()
    using _place = place
    const kafkaPort = String(await findFreePort())
    const up = place.startWith(env, 'up', '--rate', '50', '--kafka-port', kafkaPort)
    await expect.poll(() => up.output.stderr, waitMs).toContain('find this Kafka through')
    for (const port of [...ports, kafkaPort]) expect(up.output.stderr).toContain(`:${port}`)
    const run = (...words: string[]) => place.startWith(env, ...words).ended
    const verified = async () => (await run('ledger', 'verify')).stdout
    await expect.poll(verified, waitMs).toMatch(/complete up to/)
    expect((await run('doctor')).stdout).toContain(`ok     broker 127.0.0.1:${kafkaPort}`)
    expect(await run('deadletters', 'list', '--cloud')).toMatchObject({ code: 0 })
    up.child.kill('SIGTERM')
    const { code, stderr } = await up.ended
    expect(code).toBe(0)
    const steps = [...stderr.matchAll(/^stopping (?:the )?(\w+)$/gm)].map(([, part]) => part)
    expect(steps).toEqual(['consumers', 'devices', 'gateway', 'bridge', 'Kafka'])
    expect(existsSync(join(dir, 'up.json'))).toBe(false)
    expect((await run('ledger', 'verify')).stderr).toContain('kafka.brokers is not configured')
  }, 300_000)

  it('runs everything else when a consumer does not start', async () => {
    const { place, env, ports } = await openPlace()
    using _place = place
    const [, gateway, , , archive] = ports
    // The archive shall listen where the gateway listens.
    const broken = { ...env, SLUICE_CONSUMERS_ARCHIVE_HTTP_PORT: String(gateway) }
    expect(archive).not.toBe(gateway)
    const kafkaPort = String(await findFreePort())
    const args = ['up', '--rate', '50', '--for', '3s', '--json', '--kafka-port', kafkaPort]
    const { code, stdout, stderr } = await place.startWith(broken, ...args).ended
    expect(stderr).toMatch(/archive did not start: .*: everything else runs/)
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ verdict: 'complete' })
    expect(code).toBe(0)
  }, 300_000)

  it('ends at once when the port of its Kafka is taken, and names the port and the option', async () => {
    const { place, env } = await openPlace()
    using _place = place
    const kafkaPort = await findFreePort()
    const server = createServer().listen(kafkaPort, '127.0.0.1')
    await once(server, 'listening')
    const args = ['up', '--for', '1s', '--json', '--kafka-port', String(kafkaPort)]
    const { code, stdout, stderr } = await place.startWith(env, ...args).ended
    server.close()
    expect(stderr).toMatch(new RegExp(`port ${kafkaPort} is taken: .* with --kafka-port$`, 'm'))
    expect(stderr).not.toContain('starting the gateway')
    expect(stderr).not.toMatch(/\n +at /)
    expect([code, stdout]).toEqual([2, ''])
  }, 120_000)
})

describe('sluice up', () => {
  it('runs without Kafka when there is no Java, and names no Kafka to other commands', async () => {
    const { place, env } = await openPlace()
    using _place = place
    const args = ['up', '--rate', '50', '--for', '1s', '--json']
    const { code, stderr } = await place.startWith({ ...env, PATH: '/nowhere' }, ...args).ended
    expect(stderr).toMatch(/Kafka +none/)
    expect(stderr).not.toContain('find this Kafka')
    expect(code).toBe(1)
  }, 120_000)

  it.each([
    ['up', '--kafka-port', '99999', 0],
    ['simulate', '--port', '99999', 1],
    ['simulate', '--port', '0', 1],
  ])(
    './sluice %s %s %s is a usage error that names the range',
    async (command, name, port, low) => {
      using place = openWorkspace()
      const { code, stderr } = await place.run(command, name, port)
      expect(stderr).toContain(`option '${name} <port>' argument '${port}' is invalid`)
      expect(stderr).toContain(`Write a port between ${low} and 65535.`)
      expect(stderr).not.toMatch(/\n +at /)
      expect(code).toBe(2)
    },
    30_000,
  )
})
