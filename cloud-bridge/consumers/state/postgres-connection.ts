import pg from 'pg'
import { Fenced, StateUnavailable } from './state.ts'

const CONNECTIONS_MAX = 8
const CONNECT_MS = 5000
const TIMEOUT_MS = 20_000
/** The server gives up first, so that it says why. */
const SERVER_SHARE = 0.75
const END_MS = 2000
/**
 * SQLSTATEs that pass by themselves: no connection, no room, shutting down, broken disk; a timeout
 * of ours; a server that only reads, as after a failover; a deadlock. And those that an operator
 * mends there: a password, a database or a right that is missing.
 */
const PASSING = /^(08|53|57|58|55P03|25P0[34]|25006|40|28|3D|42501)/

export type QueryRow = Record<string, unknown>
export type Query = <R extends QueryRow>(text: string, values?: readonly unknown[]) => Promise<R[]>
export type Postgres = ReturnType<typeof openPostgres>

/**
 * Connections to a PostgreSQL, made when they are needed. All reject with StateAway while it cannot
 * be reached or does not answer for `timeoutMs`.
 */
export function openPostgres(url: string, timeoutMs = TIMEOUT_MS) {
  const serverMs = Math.floor(timeoutMs * SERVER_SHARE)
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'sluice',
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: Math.min(CONNECT_MS, timeoutMs),
    query_timeout: timeoutMs,
    statement_timeout: serverMs,
    lock_timeout: serverMs,
    // Who vanished in the middle of a commit must not keep its partition from others.
    idle_in_transaction_session_timeout: serverMs,
    keepAlive: true,
  })
  const clients = new Set<pg.PoolClient>()
  // What breaks while nobody waits for it shows when it is used next.
  pool.on('error', () => {})
  pool.on('connect', client => {
    client.on('error', () => {})
    clients.add(client)
  })
  pool.on('remove', client => clients.delete(client))

  const connected = async <T>(work: (query: Query) => Promise<T>): Promise<T> => {
    try {
      const client = await pool.connect()
      try {
        const done = await work(async (text, values) => {
          const { rows } = await client.query(text, values as unknown[])
          return rows
        })
        client.release()
        return done
      } catch (error) {
        // Closing it rolls back, also where nobody answers any more.
        client.release(true)
        throw error
      }
    } catch (error) {
      throw passes(error)
        ? new StateUnavailable(`PostgreSQL: ${wordsOf(error)}`, { cause: error })
        : error
    }
  }

  return {
    query: <R extends QueryRow>(text: string, values?: readonly unknown[]) =>
      connected(query => query<R>(text, values)),
    /** Whole or not at all; after a StateAway nobody knows which. */
    transaction: <T>(work: (query: Query) => Promise<T>) =>
      connected(async query => {
        await query('BEGIN')
        const done = await work(query)
        await query('COMMIT')
        return done
      }),
    async [Symbol.asyncDispose]() {
      // One that hangs does not say goodbye.
      const late = setTimeout(() => {
        for (const client of clients) streamOf(client)?.destroy()
      }, END_MS)
      await pool.end()
      clearTimeout(late)
    },
  }
}

type Connected = { connection?: { stream?: { destroy(): void } } }
const streamOf = (client: pg.PoolClient) => (client as Connected).connection?.stream

function passes(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return PASSING.test(error.code ?? '')
  const isBug = error instanceof TypeError || error instanceof RangeError
  return !isBug && !(error instanceof Fenced) && !(error instanceof StateUnavailable)
}

/** Several addresses that all refuse have a code and no message. */
function wordsOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string }
  return message || code || String(error)
}

const BYTEA_OID = 17
const HEADER_BYTES = 20
const LENGTH_BYTES = 4

/** An array of bytea in PostgreSQL's binary form; as text each byte would be two and be parsed. */
export function byteaArray(values: readonly Buffer[]): Buffer {
  const bytes = values.reduce((sum, { length }) => sum + LENGTH_BYTES + length, HEADER_BYTES)
  const array = Buffer.allocUnsafe(bytes)
  // Dimensions, whether there are nulls, what of, how many, and where counting begins.
  const header = [1, 0, BYTEA_OID, values.length, 1]
  let at = 0
  for (const number of header) at = array.writeInt32BE(number, at)
  for (const value of values) {
    at = array.writeInt32BE(value.length, at)
    at += value.copy(array, at)
  }
  return array
}
