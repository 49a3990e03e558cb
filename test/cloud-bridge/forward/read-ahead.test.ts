import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createForwarder } from '../../../cloud-bridge/forward/forwarder.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { createMemorySource } from '../../contracts/memory-source.ts'
import { fixedSize } from '../fixed-size.ts'

it('starts no second send while one is in flight, when reading ahead fails', async () => {
  const source = createMemorySource('readings', 1)
  for (let group = 0; group < 6; group++) source.store(['z'])
  let [inFlight, maxInFlight] = [0, 0]
  const forwarder = createForwarder({
    framing: singleObjectFraming,
    source: {
      readBatch: source.readBatch,
      advance: source.advance,
      readAhead() {
        throw new Error('the outbox cannot be read now')
      },
    },
    signal: new AbortController().signal,
    sink: {
      async send({ records }) {
        maxInFlight = Math.max(maxInFlight, ++inFlight)
        await sleep(20)
        inFlight--
        return records.map(() => null)
      },
    },
    size: fixedSize({ batchMaxEvents: 1, batchMaxBytes: 1_000_000 }),
    lingerMs: 0,
    circuit: createCircuitBreaker({ firstMs: 1, maxMs: 1, stableMs: 0 }),
    onUnavailable() {},
    onRejected() {},
    onDelivered() {},
  })
  for (let step = 0; step < 3; step++) expect(await forwarder.step()).toBe('large batch')
  expect([maxInFlight, source.advances]).toEqual([1, 3])
})
