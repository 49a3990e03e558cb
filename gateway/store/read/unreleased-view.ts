import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import { UNKNOWN_TIME } from '../qos2-unreleased.ts'

/**
 * The unreleased QoS 2 messages of a client: how many, and when the oldest was received, in ms
 * since 1970; null when no time is known.
 */
export type UnreleasedClient = { client: string; messages: number; oldestAt: number | null }

/**
 * Reads which clients have unreleased QoS 2 messages, most messages first, while the gateway may
 * write. `store` is the id of the outbox. Returns null when there is no outbox that can be read.
 */
export function readUnreleased(file: string) {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID)
  try {
    const store = db?.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
    if (!db || !store) return null
    // The gateway that wrote the file may be older than the column `at`.
    const columns = db.pragma('table_info(incoming)') as { name: string }[]
    const hasTime = columns.some(({ name }) => name === 'at')
    const oldest = hasTime ? `min(nullif(at, ${UNKNOWN_TIME}))` : 'NULL'
    const clients = db
      .prepare(
        `SELECT client, count(*) AS messages, ${oldest} AS oldestAt FROM incoming
         GROUP BY client ORDER BY messages DESC, client`,
      )
      .all() as UnreleasedClient[]
    return { store: store.toString('hex'), clients }
  } finally {
    db?.close()
  }
}
