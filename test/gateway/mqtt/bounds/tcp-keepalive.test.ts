import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { startTestBroker } from '../broker-fixture.ts'
import { openDevice } from '../wire.ts'

const CONNECTIONS = '/proc/net/tcp'
/** In `/proc/net/tcp`: the timer that runs for a connection is the keepalive timer. */
const KEEPALIVE_TIMER = '02'
const TICKS_PER_SECOND = 100

describe.skipIf(!existsSync(CONNECTIONS))('a connection without traffic', () => {
  it('is probed by TCP after tcpKeepaliveMs', async () => {
    await using setup = await startTestBroker({ tcpKeepaliveMs: 7000 })
    using device = await openDevice(setup.port, 'device')
    const { timer, ticks } = timerOf(setup.port, device.socket.localPort!)
    expect(timer).toBe(KEEPALIVE_TIMER)
    expect(ticks).toBeGreaterThan(0)
    expect(ticks).toBeLessThanOrEqual(7 * TICKS_PER_SECOND)
  })
})

/** The timer of the connection from one port of this machine to another (proc_net_tcp.txt). */
function timerOf(localPort: number, remotePort: number): { timer: string; ticks: number } {
  const address = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const row = readFileSync(CONNECTIONS, 'utf8')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .find(([, from, to]) => from?.endsWith(address(localPort)) && to?.endsWith(address(remotePort)))
  if (!row) throw new Error(`no connection from port ${localPort} to port ${remotePort}`)
  const [timer = '', ticks = ''] = row[5]!.split(':')
  return { timer, ticks: Number.parseInt(ticks, 16) }
}
