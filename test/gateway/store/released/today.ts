import Database from 'better-sqlite3'
import { createRejectionHandler } from '../../../../cloud-bridge/forward/delivery-context.ts'
import { resolveDeadLetters } from '../../../../gateway/ingest/dead-letter-retry.ts'
import { replayReason } from '../../../../gateway/store/delivery/replay-period.ts'
import { markDamaged } from '../../../../gateway/store/file/damage-mark.ts'
import { createMeans } from '../../../../gateway/store/groups/downsampling.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import type { Program, ReadNotes } from './work.ts'

/** Today's program. */
export const program: Program = {
  ...{ openOutbox, openInbox, openEventSource, resolveDeadLetters, createRejectionHandler },
  ...{ createMeans, replayReason, markDamaged },
  runSql(file, sql) {
    const db = new Database(file)
    db.exec(sql)
    db.close()
  },
}

export const readNotes: ReadNotes = (file, name) => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare('SELECT kind, body FROM notes ORDER BY sequence').all()
  db.close()
  return (rows as { kind: string; body: Buffer }[]).map(({ kind, body }) => ({
    ...{ file: name, kind, body: body.toString() },
  }))
}
