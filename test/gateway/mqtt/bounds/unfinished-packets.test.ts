import { expect, it } from 'vitest'
import { createUnfinishedPackets } from '../../../../gateway/mqtt/bounds/unfinished-packets.ts'

it('a packet that waits is admitted when the larger packet before it is gone', () => {
  const held: object[] = []
  const admitted: object[] = []
  const packets = createUnfinishedPackets<object>(
    { maxBytes: 20_000, waitMaxMs: 1000 },
    {
      holdReads: connection => held.push(connection),
      releaseReads: connection => held.splice(held.indexOf(connection), 1),
      onAdmitted: connection => admitted.push(connection),
      ...{ close() {}, onChange() {} },
    },
    () => 0,
  )
  const [first, large, last] = [{ n: 1 }, { n: 2 }, { n: 3 }]
  packets.add(first, 10_000)
  packets.add(large, 15_000)
  packets.add(last, 6000)
  expect([admitted, held, packets.bytes]).toEqual([[first], [large, last], 10_000])
  packets.remove(large)
  expect([admitted, held, packets.bytes]).toEqual([[first, last], [], 16_000])
})
