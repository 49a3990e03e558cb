import pg from 'pg'
import { Fenced, StateUnavailable } from './state.ts'

const CONNECTIONS_MAX = 8
const CONNECT_MS = 5000
const TIMEOUT_MS = 20_000
/**
 * The server's timeout, as a part of the client's timeout. It is shorter, so that the server's
 * error arrives and names the reason.
 */
const SERVER_SHARE = 0.75
const END_MS = 2000
/**
 * SQLSTATEs of errors that can pass by themselves: no connection, out of resources, shutdown, disk
 * fault; our own timeout; a read-only server after a failover; a deadlock. Also SQLSTATEs of errors
 * that an operator can fix on the server: a wrong password, a missing database or a missing right.
 */
const PASSING = /^(08|53|57|58|55P03|25P0[34]|25006|40|28|3D|42501)/

export type QueryRow = Record<string, unknown>
export type Query = <R extends QueryRow>(text: string, values?: readonly unknown[]) => Promise<R[]>
export type Postgres = ReturnType<typeof openPostgres>

/**
 * A pool of PostgreSQL connections, opened on demand. All calls reject with StateUnavailable while
 * the server cannot be reached or does not answer within `timeoutMs`.
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
    // A client that vanished in the middle of a commit must not block its partition.
    idle_in_transaction_session_timeout: serverMs,
    keepAlive: true,
  })
  const clients = new Set<pg.PoolClient>()
  // An error of an idle connection shows at its next use.
  pool.on('error', () => {})
  pool.on('connect', client => {
    client.on('error', () => {})
    clients.add(client)
  })
  pool.on('remove', client => clients.delete(client))

  const withConnection = async <T>(work: (query: Query) => Promise<T>): Promise<T> => {
    try {
      const client = await pool.connect()
      try {
        const result = await work(async (text, values) => {
          const { rows } = await client.query(text, values as unknown[])
          return rows
        })
        client.release()
        return result
      } catch (error) {
        // Closing the connection rolls back, even if the server does not answer.
        client.release(true)
        throw error
      }
    } catch (error) {
      throw isPassing(error)
        ? new StateUnavailable(`PostgreSQL: ${messageOf(error)}`, { cause: error })
        : error
    }
  }

  return {
    query: <R extends QueryRow>(text: string, values?: readonly unknown[]) =>
      withConnection(query => query<R>(text, values)),
    /**
     * Runs `work` in one transaction. After StateUnavailable it is unknown whether it was
     * committed.
     */
    transaction: <T>(work: (query: Query) => Promise<T>) =>
      withConnection(async query => {
        await query('BEGIN')
        const result = await work(query)
        await query('COMMIT')
        return result
      }),
    async [Symbol.asyncDispose]() {
      // A hanging connection does not close by itself.
      const timer = setTimeout(() => {
        for (const client of clients) streamOf(client)?.destroy()
      }, END_MS)
      await pool.end()
      clearTimeout(timer)
    },
  }
}

type Connected = { connection?: { stream?: { destroy(): void } } }
const streamOf = (client: pg.PoolClient) => (client as Connected).connection?.stream

function isPassing(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return PASSING.test(error.code ?? '')
  const isBug = error instanceof TypeError || error instanceof RangeError
  return !isBug && !(error instanceof Fenced) && !(error instanceof StateUnavailable)
}

/** An error about several addresses that all refused the connection has a code but no message. */
function messageOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string }
  return message || code || String(error)
}

const BYTEA_OID = 17
const HEADER_BYTES = 20
const LENGTH_BYTES = 4

/**
 * A bytea array in PostgreSQL's binary format; the text format would double the size and would have
 * to be parsed.
 */
export function byteaArray(values: readonly Buffer[]): Buffer {
  const bytes = values.reduce((sum, { length }) => sum + LENGTH_BYTES + length, HEADER_BYTES)
  const array = Buffer.allocUnsafe(bytes)
  // Dimensions, has-nulls flag, element type, length, lower bound.
  const header = [1, 0, BYTEA_OID, values.length, 1]
  let at = 0
  for (const number of header) at = array.writeInt32BE(number, at)
  for (const value of values) {
    at = array.writeInt32BE(value.length, at)
    at += value.copy(array, at)
  }
  return array
}
