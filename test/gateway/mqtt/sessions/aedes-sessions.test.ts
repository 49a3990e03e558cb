import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { createMemorySessions } from '../../../../gateway/mqtt/aedes-internals.ts'
import { startAedes } from '../aedes-fixture.ts'
import { openDevice, subscribePacket } from '../wire.ts'

it('aedes asks for retained messages in the same turn as, and after, its event subscribe', async () => {
  const calls: string[] = []
  const persistence = createMemorySessions()
  persistence.createRetainedStreamCombi = filters => {
    calls.push(`find ${filters}`)
    return Readable.from([])
  }
  await using setup = await startAedes({
    options: { persistence: persistence as object },
    onBroker: aedes =>
      aedes.on('subscribe', (_, { id }) => {
        calls.push(`subscribe ${id}`)
        queueMicrotask(() => calls.push('turn ends'))
      }),
  })
  using wire = await openDevice(setup.port, 'c')
  wire.send(subscribePacket('a/#'))
  expect(await wire.next()).toBe('suback')
  expect(calls).toEqual(['subscribe c', 'find a/#', 'turn ends'])
})
