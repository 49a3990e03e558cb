import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'
import { describeEventSource } from '../../contracts/event-source.ts'
import { createMemorySource } from '../../contracts/memory-source.ts'
import { reading } from '../readings.ts'

describeEventSource('in memory', async () => {
  const source = createMemorySource()
  return { source, store: source.store, reopen: () => {}, [Symbol.asyncDispose]: async () => {} }
})

describeEventSource('on outbox and inbox', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-source-'))
  const outboxFile = join(dir, 'outbox.db')
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
  const open = () => {
    const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 60_000 })
    const source = openEventSource({ outboxFile, inbox })
    source.refresh()
    source.ensureLiveRange('readings', 3)
    return { inbox, source }
  }
  const close = ({ inbox, source }: ReturnType<typeof open>) => {
    source.close()
    inbox.close()
  }
  let opened = open()
  return {
    get source() {
      return opened.source
    },
    store: zones => outbox.commit({ readings: zones.map(zone => reading(zone)), deadLetters: [] }),
    reopen() {
      close(opened)
      opened = open()
    },
    async [Symbol.asyncDispose]() {
      close(opened)
      outbox.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
})
