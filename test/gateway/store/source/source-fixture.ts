import { rmSync } from 'node:fs'
import { decodeEvent } from '../../../../config/event/sensor-reading.ts'
import { type Inbox, openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { type EventSource, openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { reading, temporary } from '../fixture.ts'

export const limits = { maxEvents: 1000, maxBytes: 1_000_000 }

/** An inbox and an event source on an outbox that may be created and removed. */
export function openStores() {
  const directory = temporary()
  const outboxFile = directory.file('outbox.db')
  const inboxFile = directory.file('inbox.db')
  let inbox: Inbox
  let source: EventSource
  const start = () => {
    inbox = openInbox({ file: inboxFile, settleMs: 1_000_000 })
    source = openEventSource({ outboxFile, inbox })
  }
  const stop = () => {
    source.close()
    inbox.close()
  }
  start()
  return {
    ...{ outboxFile, inboxFile, start, stop },
    get inbox() {
      return inbox
    },
    get source() {
      return source
    },
    openOutbox: () => openOutbox({ file: outboxFile, gateway: 'gw' }),
    removeOutbox() {
      for (const end of ['', '-wal', '-shm', '.bell']) rmSync(outboxFile + end, { force: true })
    },
    [Symbol.dispose]() {
      stop()
      directory[Symbol.dispose]()
    },
  }
}

type Outbox = ReturnType<typeof openOutbox>
export const commit = (outbox: Outbox, ...numbers: number[]) =>
  outbox.commit({ readings: numbers.map(number => reading('z', number)), deadLetters: [] })
export const numbersOf = (source: EventSource) =>
  source.readBatch(limits)?.events.map(({ value }) => decodeEvent(value).measurements[0]!.number) ??
  []
