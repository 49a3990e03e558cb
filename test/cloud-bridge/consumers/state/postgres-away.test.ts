import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openPostgresStates } from '../../../../cloud-bridge/consumers/state/postgres.ts'
import { StateUnavailable } from '../../../../cloud-bridge/consumers/state/state.ts'
import { rowsOf } from '../../../contracts/state-rig.ts'
import { describeWithPostgres, startLocalPostgres } from '../../../setup/local-postgres.ts'
import { eventsOf, listed, live, openListing, recordsOf } from '../runtime/fixture.ts'

const TIMEOUT_MS = 1000
const PARTITIONS = [0, 1, 2, 3]

describeWithPostgres('a PostgreSQL that goes', () => {
  let server: Awaited<ReturnType<typeof startLocalPostgres>>
  beforeAll(async () => {
    server = await startLocalPostgres()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())
  const open = () => openPostgresStates(server.url, TIMEOUT_MS)

  it('is restarted, killed and frozen in the middle of commits: all counts once', async () => {
    await using store = open()
    const state = await store.open('listing')
    const works = await Promise.all(PARTITIONS.map(partition => openListing(state, { partition })))
    let isOver = false
    const wanted: number[] = []
    const running = works.map(async ({ take }, at) => {
      let next = 0
      for (; !isOver; next += 5) {
        const numbers = Array.from({ length: 5 }, (_, more) => next + more + 1)
        await take(live, recordsOf(eventsOf(numbers), next))
      }
      wanted[at] = next
    })
    const awhile = () => sleep(100 + Math.random() * 100)
    for (const fault of ['SIGKILL', 'freeze', 'SIGINT'] as const) {
      await awhile()
      const thaw = fault === 'freeze' ? await server.freeze() : null
      if (fault === 'freeze') await sleep(TIMEOUT_MS * 1.5)
      else await server.stop(fault)
      await awhile()
      await (thaw ? thaw() : server.start())
    }
    await awhile()
    isOver = true
    await Promise.all(running)
    for (const [at, last] of wanted.entries()) {
      const reader = await state.reader(PARTITIONS[at]!)
      expect(await listed(reader)).toEqual(Array.from({ length: last }, (_, one) => one + 1))
      expect(reader.offsets.get(live)).toBe(last)
      expect((await reader.pendingEffects(100_000)).length).toBe(last)
    }
    expect(works.flatMap(({ away }) => away).filter(Boolean).length).toBeGreaterThan(0)
  })

  it('is away when it does not answer, and holds up neither a claim nor the end', async () => {
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
    await using again = open()
    await (await (await again.open('frozen')).claim(0)).commit({})
  })

  it('lets go of what a member held that vanished in the middle of a commit', async () => {
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

  it('is told by what the server says when it does not let us in, until that is mended', async () => {
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
