import { byteaArray, type Postgres, type Query } from './postgres-connection.ts'
import { Fenced, type PartitionState, type Row, type StateChanges } from './state.ts'

/** Limits of one statement. */
const CHUNK_MAX_ROWS = 10_000
const CHUNK_MAX_BYTES = 4_194_304

/** A partition of a version of a consumer's state: its id in the table sluice.place. */
export type PartitionRef = { id: number; version: number }

type Reader = Omit<PartitionState, 'commit'>

/** Creates the reader of the committed rows of a partition. */
export async function createPartitionReader(
  { query }: Pick<Postgres, 'query'>,
  id: number,
): Promise<Reader> {
  const offsets = await query<{ topic: string; next: string }>(
    'SELECT topic, next FROM sluice.next_offset WHERE place = $1',
    [id],
  )
  return {
    offsets: new Map(offsets.map(({ topic, next }) => [topic, Number(next)])),
    async get(keys) {
      const values = new Array<Buffer | null>(keys.length).fill(null)
      let before = 0
      for (const chunk of chunksOf(keys.map(key => [Buffer.from(key)]))) {
        const found = await query<{ at: string; value: Buffer }>(
          `SELECT wanted.at, state.value FROM unnest($2::bytea[]) WITH ORDINALITY AS wanted (key, at)
           JOIN sluice.state ON state.place = $1 AND state.key = wanted.key`,
          [id, byteaArray(chunk.map(([key]) => key!))],
        )
        for (const { at, value } of found) values[before + Number(at) - 1] = value
        before += chunk.length
      }
      return values
    },
    async range({ from, to, limit = null, backwards = false }) {
      const rows = await query<{ key: Buffer; value: Buffer }>(
        `SELECT key, value FROM sluice.state WHERE place = $1 AND key >= $2 AND key < $3
         ORDER BY key ${backwards ? 'DESC' : 'ASC'} LIMIT $4`,
        [id, Buffer.from(from), Buffer.from(to), limit],
      )
      return rows.map(({ key, value }): Row => ({ key: key.toString(), value }))
    },
    async pendingEffects(limit) {
      type Waiting = { number: string; id: Buffer; topic: string; key: Buffer; value: Buffer }
      const rows = await query<Waiting>(
        `SELECT number, id, topic, key, value FROM sluice.effect WHERE place = $1
         ORDER BY number LIMIT $2`,
        [id, limit],
      )
      return rows.map(({ number, topic, value, ...row }) => {
        const text = { id: row.id.toString(), key: row.key.toString() }
        return { number: Number(number), ...text, topic, value }
      })
    },
  }
}

/** The state of an owned partition. Commits succeed until another member takes ownership. */
export async function createPartitionOwner(
  postgres: Postgres,
  place: PartitionRef,
  generation: string,
): Promise<PartitionState> {
  return {
    ...(await createPartitionReader(postgres, place.id)),
    commit: changes =>
      postgres.transaction(async query => {
        await requireOwner(query, place, generation)
        await write(query, place.id, changes)
      }),
  }
}

/**
 * Locks the partition and the consumer's versions until the transaction ends. Rejects with Fenced
 * when another member owns the partition, or the version was replaced. The lock is the first
 * statement of a transaction. So a retry waits until an earlier attempt on an abandoned connection
 * has ended.
 */
async function requireOwner(query: Query, place: PartitionRef, generation: string): Promise<void> {
  const [now] = await query<{ generation: string; isLive: boolean }>(
    `SELECT generation, version IN (current, newest) AS "isLive"
     FROM sluice.place JOIN sluice.consumer ON consumer.name = place.consumer
     WHERE id = $1 FOR UPDATE OF place FOR SHARE OF consumer`,
    [place.id],
  )
  if (!now?.isLive) throw new Fenced(`version ${place.version} of the state was replaced`)
  if (now.generation !== generation) throw new Fenced('another member owns the partition now')
}

async function write(query: Query, place: number, changes: StateChanges): Promise<void> {
  const { rows = new Map(), offsets = new Map(), effects = [], sent = [] } = changes
  const put = [...rows].flatMap(([key, value]) => (value ? [[Buffer.from(key), value]] : []))
  const deleted = [...rows].flatMap(([key, value]) => (value ? [] : [[Buffer.from(key)]]))
  for (const chunk of chunksOf(put)) {
    await query(
      `INSERT INTO sluice.state SELECT $1, key, value FROM unnest($2::bytea[], $3::bytea[])
       AS put (key, value) ON CONFLICT (place, key) DO UPDATE SET value = excluded.value`,
      [place, column(chunk, 0), column(chunk, 1)],
    )
  }
  for (const chunk of chunksOf(deleted)) {
    await query('DELETE FROM sluice.state WHERE place = $1 AND key = ANY ($2::bytea[])', [
      ...[place, column(chunk, 0)],
    ])
  }
  if (offsets.size > 0) {
    await query(
      `INSERT INTO sluice.next_offset SELECT $1, topic, next FROM unnest($2::text[], $3::bigint[])
       AS moved (topic, next) ON CONFLICT (place, topic) DO UPDATE SET next = excluded.next`,
      [place, [...offsets.keys()], [...offsets.values()]],
    )
  }
  if (sent.length > 0) {
    const numbers = sent.map(({ number }) => number)
    const text = 'DELETE FROM sluice.effect WHERE place = $1 AND number = ANY ($2::bigint[])'
    await query(text, [place, numbers])
  }
  const newest = new Map<string, Buffer[]>()
  for (const { id, topic, key, value } of effects) {
    newest.delete(id)
    newest.set(id, [Buffer.from(id), Buffer.from(topic), Buffer.from(key), value])
  }
  for (const chunk of chunksOf([...newest.values()])) {
    const ids = column(chunk, 0)
    await query('DELETE FROM sluice.effect WHERE place = $1 AND id = ANY ($2::bytea[])', [
      place,
      ids,
    ])
    await query(
      `INSERT INTO sluice.effect (place, id, topic, key, value)
       SELECT $1, id, convert_from(topic, 'UTF8'), key, value
       FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) WITH ORDINALITY
       AS added (id, topic, key, value, at) ORDER BY at`,
      [place, ids, column(chunk, 1), column(chunk, 2), column(chunk, 3)],
    )
  }
}

const column = (chunk: readonly Buffer[][], at: number) => byteaArray(chunk.map(row => row[at]!))

/** Splits rows into chunks of bounded size. */
function* chunksOf(rows: readonly Buffer[][]): Generator<Buffer[][]> {
  let chunk: Buffer[][] = []
  let bytes = 0
  for (const row of rows) {
    const own = row.reduce((sum, { length }) => sum + length, 0)
    if (chunk.length === CHUNK_MAX_ROWS || (chunk.length > 0 && bytes + own > CHUNK_MAX_BYTES)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(row)
    bytes += own
  }
  if (chunk.length > 0) yield chunk
}
