import { describe, expect, it } from 'vitest'
import { createForwarder } from '../../../cloud-bridge/forward/forwarder.ts'
import { unlessDiskIsFull } from '../../../cloud-bridge/forward/full-disk.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { mountSmallDisk } from '../../gateway/store/full-disk.ts'
import { fixedSize } from '../fixed-size.ts'

using probe = mountSmallDisk(1_000_000)

describe.skipIf(!probe)('an inbox on a full disk', () => {
  it('lets events pass, and a step that must write a note waits for free space', async () => {
    using place = temporary()
    using disk = mountSmallDisk(1_000_000)!
    const outboxFile = place.file('outbox.db')
    const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
    const inbox = openInbox({ file: disk.file('inbox.db'), settleMs: 1 })
    const source = openEventSource({ outboxFile, inbox })
    const sent: number[] = []
    const forwarder = createForwarder({
      framing: singleObjectFraming,
      source,
      signal: new AbortController().signal,
      sink: {
        send: async ({ records }) => {
          sent.push(records.length)
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
    const reasons: string[] = []
    const step = () => unlessDiskIsFull(forwarder.step, 'nothing', reason => reasons.push(reason))
    const commit = () => outbox.commit({ readings: [reading('z')] })
    for (let n = 0; n < 5; n++) commit()
    source.refresh()
    source.ensureLiveRange('t', 1)
    disk.fillAllBut(0)
    await step()
    await step()
    expect([sent, reasons]).toEqual([[1, 1], []])
    outbox.pruning.prune({ sequence: 4, to: 4 })
    await step()
    await step()
    // The third event was read ahead.
    expect(sent).toEqual([1, 1, 1])
    expect(reasons.join()).toContain('the disk of inbox.file is full')
    disk.free()
    await step()
    expect(sent).toEqual([1, 1, 1, 1])
    expect(inbox.notesFrom(1)).toMatchObject([
      { sequence: 1, kind: 'jump', content: { from: 4, to: 4 } },
    ])
    source.close()
    inbox.close()
    outbox.close()
  })
})
