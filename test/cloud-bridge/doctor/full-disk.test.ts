import { expect, it } from 'vitest'
import { listenerChecks } from '../../../cloud-bridge/doctor/listeners.ts'
import { storeChecks } from '../../../cloud-bridge/doctor/stores.ts'
import { defaults } from '../../../config/config.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { startGatewayProcess, waitOptions } from '../../gateway/gateway-process.ts'
import { openDevice, publishPacket } from '../../gateway/mqtt/wire.ts'
import { mountSmallDisk } from '../../gateway/store/full-disk.ts'

const MB = 1_000_000
using probe = mountSmallDisk(MB)

it.skipIf(!probe)(
  'a full disk is a fault that names how much must be free, for /ready and the doctor',
  async () => {
    using disk = mountSmallDisk(40 * MB)!
    const file = disk.file('outbox.db')
    const bounds = { ...defaults.outbox.bounds, freeDiskBytes: 0 }
    const outbox = { ...defaults.outbox, file, bounds }
    using gateway = await startGatewayProcess({ outbox: { file, bounds: { freeDiskBytes: 0 } } })
    disk.fillAllBut(0)
    using device = await openDevice(gateway.mqtt, 'd')
    const reasons = async () =>
      (await gateway.page('/ready')).body as unknown as { reasons?: string[] }
    let id = 0
    const refused = async () => {
      const payload = JSON.stringify({ text: 'x'.repeat(50_000) })
      device.send(publishPacket({ topic: `nowhere/${++id}`, payload, qos: 1, id }))
      return (await reasons()).reasons?.[0]
    }
    await expect.poll(refused, waitOptions).toMatch(/^the outbox refuses .* until 12/)
    const until = 'until 12\\.6 MB are free on its disk \\([\\d.]+ (MB|kB|bytes) now\\)'
    expect((await reasons()).reasons).toEqual([
      expect.stringMatching(`^the outbox refuses messages ${until}: .*disk is full$`),
    ])
    const [check] = listenerChecks({
      gateway: { ...defaults.gateway, http: { ...defaults.gateway.http, port: gateway.http } },
      bridge: { ...defaults.bridge, http: { ...defaults.bridge.http, port: await findFreePort() } },
      outbox,
      inbox: defaults.inbox,
    })
    expect(await check!.run()).toContainEqual(
      expect.objectContaining({
        status: 'fault',
        value: expect.stringMatching(`^the outbox refuses messages ${until}`),
      }),
    )
    expect(await storeChecks({ outbox, inbox: defaults.inbox })[0]!.run()).toContainEqual(
      expect.objectContaining({
        status: 'fault',
        value: expect.stringMatching(`^the gateway refuses messages ${until}`),
      }),
    )
    disk.free()
    await expect.poll(() => gateway.page('/ready'), waitOptions).toMatchObject({ status: 200 })
  },
  90_000,
)
