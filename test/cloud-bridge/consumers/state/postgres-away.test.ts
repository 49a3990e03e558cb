import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openPostgresStates } from '../../../../cloud-bridge/consumers/state/postgres.ts'
import { StateUnavailable } from '../../../../cloud-bridge/consumers/state/state.ts'
import { rowsOf } from '../../../contracts/state-rig.ts'
import { describeWithPostgres, startLocalPostgres } from '../../../setup/local-postgres.ts'
import { eventsOf, listedNumbers, live, openListing, recordsOf } from '../runtime/fixture.ts'

const TIMEOUT_MS = 1000
const PARTITIONS = [0, 1, 2, 3]

describeWithPostgres('an unavailable PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof startLocalPostgres>>
  beforeAll(async () => {
    server = await startLocalPostgres()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())
  const open = () => openPostgresStates(server.url, TIMEOUT_MS)

  it('is killed, frozen and restarted in the middle of commits: every event counts once', async () => {
    await using store = open()
    const state = await store.open('listing')
    const works = await Promise.all(PARTITIONS.map(partition => openListing(state, { partition })))
    let isDone = false
    const lastNumbers: number[] = []
    const running = works.map(async ({ add }, index) => {
      let next = 0
      for (; !isDone; next += 5) {
        const numbers = Array.from({ length: 5 }, (_, more) => next + more + 1)
        await add(live, recordsOf(eventsOf(numbers), next))
      }
      lastNumbers[index] = next
    })
    const pauseShortly = () => sleep(100 + Math.random() * 100)
    for (const fault of ['SIGKILL', 'freeze', 'SIGINT'] as const) {
      await pauseShortly()
      const thaw = fault === 'freeze' ? await server.freeze() : null
      if (fault === 'freeze') await sleep(TIMEOUT_MS * 1.5)
      else await server.stop(fault)
      await pauseShortly()
      await (thaw ? thaw() : server.start())
    }
    await pauseShortly()
    isDone = true
    await Promise.all(running)
    for (const [index, last] of lastNumbers.entries()) {
      const reader = await state.reader(PARTITIONS[index]!)
      expect(await listedNumbers(reader)).toEqual(
        Array.from({ length: last }, (_, number) => number + 1),
      )
      expect(reader.offsets.get(live)).toBe(last)
      expect((await reader.pendingEffects(100_000)).length).toBe(last)
    }
    expect(works.flatMap(({ reasons }) => reasons).filter(Boolean).length).toBeGreaterThan(0)
  })

  it('is reported when it does not answer, and blocks neither a claim nor the end', async () => {
    const store = open()
    const state = await store.open('frozen')
    const claimed = await state.claim(0)
    const thaw = await server.freeze()
    const rejected = (work: Promise<unknown>) => expect(work).rejects.toThrow(StateUnavailable)
    await rejected(claimed.commit({ rows: rowsOf({ a: '1' }) }))
    await rejected(state.claim(1))
    await rejected(claimed.get(['a']))
    await store[Symbol.asyncDispose]()
    thaw()
    await using reopened = open()
    await (await (await reopened.open('frozen')).claim(0)).commit({})
  })

  it('releases the locks of a member that vanished in the middle of a commit', async () => {
    await using store = open()
    const state = await store.open('vanished')
    await state.claim(0)
    const vanished = new pg.Client({
      connectionString: server.url,
      idle_in_transaction_session_timeout: TIMEOUT_MS,
    })
    vanished.on('error', () => {})
    await vanished.connect()
    await vanished.query('BEGIN')
    await vanished.query("SELECT * FROM sluice.place WHERE consumer = 'vanished' FOR UPDATE")
    await expect(state.claim(0)).rejects.toThrow(StateUnavailable)
    await sleep(TIMEOUT_MS)
    await (await state.claim(0)).commit({})
  })

  it('is reported with the reason of the server that refuses the login, until that is fixed', async () => {
    await using store = openPostgresStates(server.url.replace(/postgres$/, 'later'))
    const opened = store.open('c')
    await expect(opened).rejects.toThrow(StateUnavailable)
    await expect(opened).rejects.toThrow('database "later" does not exist')
    const client = new pg.Client(server.url)
    await client.connect()
    await client.query('CREATE DATABASE later')
    await client.end()
    await (await store.open('c')).claim(0)
  })
})
