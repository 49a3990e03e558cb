import { describe, expect, it } from 'vitest'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { openDevice, publishPacket } from '../mqtt/wire.ts'
import { openWorkspace } from './command.ts'

const soon = { timeout: 20_000, interval: 50 }

async function openGateway() {
  const [mqtt, http] = [await findFreePort(), await findFreePort()]
  const workspace = openWorkspace({ gateway: { mqtt: { port: mqtt }, http: { port: http } } })
  const { child, ended, output } = workspace.start('gateway')
  await expect
    .poll(() => fetch(`http://127.0.0.1:${http}/ready`).catch(() => output.stdout), soon)
    .toMatchObject({ status: 200 })
  return {
    ...{ ...workspace, mqtt },
    async stop() {
      child.kill('SIGTERM')
      expect(await ended).toMatchObject({ code: 0 })
    },
  }
}

async function publish(port: number, client: string, count: number) {
  const wire = await openDevice(port, client, { clean: false })
  for (let id = 1; id <= count; id++) {
    const topic = 'building/hq/zone/z/sensor/s'
    wire.send(publishPacket({ topic, payload: `{"n":${id}}`, qos: 2, id }))
    expect(await wire.next()).toBe(`pubrec ${id}`)
  }
  return wire
}

describe('./sluice qos2', () => {
  it('lists unreleased messages by client, and clears them in the running gateway', async () => {
    const gateway = await openGateway()
    using _place = gateway
    using connected = await publish(gateway.mqtt, 'connected', 3)
    const gone = await publish(gateway.mqtt, 'gone', 2)
    gone.socket.destroy()
    const named = await publish(gateway.mqtt, 'named', 1)
    named.socket.destroy()
    const list = await gateway.run('qos2', 'list')
    expect([list.code, list.stderr]).toEqual([0, '3 clients\n'])
    const timeOrNot = / {2}(since \S+Z|time not known)$/gm
    expect(list.stdout.replace(timeOrNot, '').split('\n')).toEqual([
      ...['connected  3 messages', 'gone  2 messages', 'named  1 message', ''],
    ])
    expect(await gateway.run('qos2', 'clear', 'named', 'nobody')).toMatchObject({
      ...{ code: 0, stderr: '1 QoS 2 message forgotten\n' },
    })
    const absent = await gateway.run('qos2', 'clear', '--absent', '--json')
    expect([absent.code, absent.stdout]).toEqual([0, '{"forgotten":2}\n'])
    const left = await gateway.run('qos2', 'list', '--json')
    expect(JSON.parse(left.stdout)).toMatchObject({ client: 'connected', messages: 3 })
    expect(await gateway.run('qos2', 'clear', '--absent')).toMatchObject({ code: 1 })
    expect(await gateway.run('qos2', 'clear', '--all', 'x')).toMatchObject({ code: 2 })
    expect(connected.waiting).toBe(0)
    await gateway.stop()
    const stopped = await gateway.run('qos2', 'clear', '--all')
    expect([stopped.code, stopped.stderr]).toEqual([
      2,
      expect.stringContaining('no gateway answers'),
    ])
  }, 90_000)
})
