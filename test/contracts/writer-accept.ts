import Database from 'better-sqlite3'
import { defaults } from '../../config/config.ts'
import { startWriter, unreleasedBounds, type WriterOptions } from '../../gateway/ingest/writer.ts'
import { readOutbox, temporary } from '../gateway/store/fixture.ts'
import type { AcceptRig } from './accept.ts'

export type WriterAccept = AcceptRig & {
  readonly writer: Awaited<ReturnType<typeof startWriter>>
  readonly outboxFile: string
  readonly inboxFile: string
  /** Stops the writer and starts another writer on the same store. */
  restart(): Promise<void>
}

/**
 * The real writer thread on a new store. The writer commits at once, without waiting for further
 * messages.
 */
export async function openWriterAccept(
  more: Partial<Omit<WriterOptions, 'outbox'>> & { outbox?: Partial<WriterOptions['outbox']> } = {},
): Promise<WriterAccept> {
  const place = temporary()
  const outboxFile = place.file('outbox.db')
  const options: WriterOptions = {
    ...{ gateway: 'gw', ingest: defaults.ingest, inboxFile: place.file('inbox.db') },
    // The tests' messages are received in 1970 and must not expire.
    unreleasedBounds: { ...unreleasedBounds(defaults.gateway.mqtt), keepMs: 1e14 },
    ...{ clock: () => 'SYNCED', onCommitted() {}, onRefused() {}, onFailed() {} },
    ...more,
    outbox: { ...defaults.outbox, commitWindowMs: 0, file: outboxFile, ...more.outbox },
  }
  let writer = await startWriter(options)
  const other = new Database(outboxFile)
  return {
    ...{ outboxFile, inboxFile: options.inboxFile },
    get writer() {
      return writer
    },
    accept: (handover, sender) => writer.accept(handover, sender),
    stored: () => readOutbox(outboxFile).events.map(event => event.measurements[0]!.number!),
    hold() {
      other.exec('BEGIN IMMEDIATE')
      return () => other.exec('COMMIT')
    },
    refuse() {
      other.exec(`CREATE TRIGGER refuse BEFORE INSERT ON groups
        WHEN instr(CAST(NEW.header AS TEXT), '"refused"') > 0
        BEGIN SELECT RAISE(ABORT, 'this zone is refused'); END`)
      return () => other.exec('DROP TRIGGER refuse')
    },
    async restart() {
      await writer[Symbol.asyncDispose]()
      writer = await startWriter(options)
    },
    async [Symbol.asyncDispose]() {
      await writer[Symbol.asyncDispose]()
      other.close()
      place[Symbol.dispose]()
    },
  }
}
