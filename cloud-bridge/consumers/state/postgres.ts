import { openPostgres, type Postgres, type Query } from './postgres-connection.ts'
import {
  createPartitionOwner,
  createPartitionReader,
  type PartitionRef,
} from './postgres-partition.ts'
import { type ConsumerState, Fenced, type StateStore, type Version } from './state.ts'

const FORMAT = 1
/** "SlCs": the advisory lock of the process that creates the tables. */
const TABLES_LOCK = 0x536c4373
const REMOVED_AT_ONCE = 10_000

/**
 * Keys and ids are bytes: bytes sort by code point and can contain every character, whatever
 * encoding and collation the database has.
 */
const TABLES = `
  CREATE SCHEMA IF NOT EXISTS sluice;
  CREATE TABLE sluice.format (number integer NOT NULL);
  INSERT INTO sluice.format VALUES (${FORMAT});
  CREATE TABLE sluice.consumer (name text PRIMARY KEY, current integer NOT NULL,
    newest integer NOT NULL);
  CREATE TABLE sluice.place (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL REFERENCES sluice.consumer, version integer NOT NULL,
    partition integer NOT NULL, generation bigint NOT NULL,
    UNIQUE (consumer, version, partition));
  CREATE TABLE sluice.next_offset (place integer NOT NULL REFERENCES sluice.place,
    topic text NOT NULL, next bigint NOT NULL, PRIMARY KEY (place, topic));
  CREATE TABLE sluice.state (place integer NOT NULL, key bytea NOT NULL, value bytea NOT NULL,
    PRIMARY KEY (place, key));
  CREATE TABLE sluice.effect (place integer NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY,
    id bytea NOT NULL, topic text NOT NULL, key bytea NOT NULL, value bytea NOT NULL,
    PRIMARY KEY (place, number), UNIQUE (place, id));`

/**
 * States in the schema `sluice` of a PostgreSQL that members on several machines share. Creates the
 * tables if they do not exist. A server that does not answer within `timeoutMs` counts as
 * unavailable.
 */
export function openPostgresStates(url: string, timeoutMs?: number): StateStore {
  const postgres = openPostgres(url, timeoutMs)
  const closing = new AbortController()
  let removing = Promise.resolve()
  let hasTables = false
  const requireTables = async () => {
    if (!hasTables) await postgres.transaction(createTables)
    hasTables = true
  }
  const stateOf = (consumer: string, version: Version) => {
    // An interrupted removal continues when the state is opened next.
    const remove = () => removeReplaced(postgres, consumer, closing.signal).catch(() => {})
    removing = removing.then(remove)
    return openState(postgres, consumer, version)
  }
  return {
    async open(consumer) {
      await requireTables()
      const [row] = await postgres.query<{ current: number }>(
        `INSERT INTO sluice.consumer VALUES ($1, 1, 1)
         ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING current`,
        [consumer],
      )
      return stateOf(consumer, { number: row!.current, isCurrent: true })
    },
    async build(consumer) {
      await requireTables()
      const [row] = await postgres.query<{ newest: number }>(
        `INSERT INTO sluice.consumer VALUES ($1, 1, 2)
         ON CONFLICT (name) DO UPDATE SET newest = consumer.newest + 1 RETURNING newest`,
        [consumer],
      )
      return stateOf(consumer, { number: row!.newest, isCurrent: false })
    },
    async makeCurrent(consumer, version) {
      await requireTables()
      const updated = await postgres.query(
        `UPDATE sluice.consumer SET current = $2 WHERE name = $1 AND $2 IN (current, newest)
         RETURNING 1`,
        [consumer, version],
      )
      if (updated.length === 0) throw new Fenced(`version ${version} of the state was replaced`)
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await removing
      await postgres[Symbol.asyncDispose]()
    },
  }
}

async function createTables(query: Query): Promise<void> {
  await query('SELECT pg_advisory_xact_lock($1)', [TABLES_LOCK])
  const [found] = await query<{ format: string | null }>(
    "SELECT to_regclass('sluice.format') AS format",
  )
  if (found!.format === null) await query(TABLES)
  const [format] = await query<{ number: number }>('SELECT number FROM sluice.format')
  if (format?.number === FORMAT) return
  throw new Error(
    `the schema sluice in PostgreSQL has format ${format?.number}, but this program needs format ` +
      `${FORMAT}: configure another database in consumers.postgresUrlFile, and the state is ` +
      'rebuilt from Kafka',
  )
}

function openState(postgres: Postgres, consumer: string, version: Version): ConsumerState {
  const ids = [consumer, version.number] as const
  /**
   * Locks the versions until the transaction ends. Rejects with Fenced when this version was
   * replaced.
   */
  const requireLive = async (query: Query) => {
    const [row] = await query<{ isLive: boolean }>(
      `SELECT $2 IN (current, newest) AS "isLive" FROM sluice.consumer WHERE name = $1 FOR SHARE`,
      ids,
    )
    if (!row?.isLive) throw new Fenced(`version ${version.number} of the state was replaced`)
  }
  const placeOf = (partition: number, claims: 0 | 1) =>
    postgres.transaction(async query => {
      await requireLive(query)
      const [row] = await query<{ id: number; generation: string }>(
        `INSERT INTO sluice.place (consumer, version, partition, generation) VALUES ($1, $2, $3, $4)
         ON CONFLICT (consumer, version, partition)
         DO UPDATE SET generation = place.generation + $4 RETURNING id, generation`,
        [...ids, partition, claims],
      )
      const place: PartitionRef = { id: row!.id, version: version.number }
      return { place, generation: row!.generation }
    })
  return {
    version,
    async claim(partition) {
      const { place, generation } = await placeOf(partition, 1)
      return createPartitionOwner(postgres, place, generation)
    },
    async reader(partition) {
      const [found] = await postgres.query<{ id: number }>(
        `SELECT id FROM sluice.place JOIN sluice.consumer ON name = consumer
         WHERE name = $1 AND version = $2 AND partition = $3 AND version IN (current, newest)`,
        [...ids, partition],
      )
      return createPartitionReader(postgres, found?.id ?? (await placeOf(partition, 0)).place.id)
    },
    async partitions() {
      const rows = await postgres.query<{ partition: number }>(
        `SELECT partition FROM sluice.place
         WHERE consumer = $1 AND version = $2 AND generation > 0 ORDER BY partition`,
        ids,
      )
      return rows.map(({ partition }) => partition)
    },
    async [Symbol.asyncDispose]() {},
  }
}

/** Deletes the rows of replaced versions in small steps that block nobody. */
async function removeReplaced(
  postgres: Postgres,
  consumer: string,
  signal: AbortSignal,
): Promise<void> {
  const replaced = await postgres.query<{ id: number }>(
    `SELECT id FROM sluice.place JOIN sluice.consumer ON name = consumer
     WHERE name = $1 AND version <> current AND version < newest`,
    [consumer],
  )
  for (const { id } of replaced) {
    for (const table of ['state', 'effect']) {
      let isLeft = true
      while (isLeft && !signal.aborted) {
        const deleted = await postgres.query(
          `DELETE FROM sluice.${table} WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM sluice.${table} WHERE place = $1 LIMIT ${REMOVED_AT_ONCE}))
           RETURNING 1`,
          [id],
        )
        isLeft = deleted.length > 0
      }
    }
    if (signal.aborted) return
    await postgres.query('DELETE FROM sluice.next_offset WHERE place = $1', [id])
    await postgres.query('DELETE FROM sluice.place WHERE id = $1', [id])
  }
}
