import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openPostgresStates } from '../../../../cloud-bridge/consumers/state/postgres.ts'
import { rowsOf } from '../../../contracts/state-rig.ts'
import { describeStateStore } from '../../../contracts/state-store.ts'
import { describeWithPostgres, startLocalPostgres } from '../../../setup/local-postgres.ts'

describeWithPostgres('PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof startLocalPostgres>>
  beforeAll(async () => {
    server = await startLocalPostgres()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  describeStateStore('PostgreSQL', async () => ({
    place: { dir: '', postgresUrl: server.url },
    async makeUnreachable() {
      await server.stop()
      return server.start
    },
    async [Symbol.asyncDispose]() {},
  }))

  describe('the tables of states', () => {
    const ask = async (text: string) => {
      await using stack = new AsyncDisposableStack()
      const client = stack.adopt(new pg.Client(server.url), connection => connection.end())
      await client.connect()
      return (await client.query(text)).rows
    }
    const emptyDatabase = async (name: string) => {
      await ask(`CREATE DATABASE ${name}`)
      return server.url.replace(/postgres$/, name)
    }

    it('are created once by members that start at the same time', async () => {
      const url = await emptyDatabase('new')
      const stores = [1, 2, 3, 4].map(() => openPostgresStates(url))
      const states = await Promise.all(stores.map(store => store.open('c')))
      expect(states.map(({ version }) => version.number)).toEqual([1, 1, 1, 1])
      for (const store of stores) await store[Symbol.asyncDispose]()
    })

    it('hold keys of any character, in order, whatever the encoding of the database', async () => {
      await ask("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
      await using store = openPostgresStates(server.url.replace(/postgres$/, 'ascii'))
      const state = await (await store.open('c')).claim(0)
      await state.commit({ rows: rowsOf({ '😀': 'b', '\uffff': 'a', é: 'é' }) })
      const all = await state.range({ from: '', to: '\u{10ffff}' })
      expect(all.map(({ value }) => value.toString())).toEqual(['é', 'a', 'b'])
    })

    it('lose the rows of replaced versions, and nothing else', async () => {
      await using store = openPostgresStates(server.url)
      const fill = async (state: Awaited<ReturnType<typeof store.open>>) => {
        const effects = [{ id: 'e', topic: 't', key: 'k', value: Buffer.from('v') }]
        const claimed = await state.claim(0)
        await claimed.commit({ rows: rowsOf({ a: '1' }), offsets: new Map([['t', 1]]), effects })
      }
      await fill(await store.open('kept'))
      await fill(await store.open('replaced'))
      for (let build = 0; build < 2; build++) await fill(await store.build('replaced'))
      await store.makeCurrent('replaced', 3)
      await store.open('replaced')
      const count = `SELECT consumer, version, count(*)::int FROM sluice.state
        JOIN sluice.effect USING (place) JOIN sluice.next_offset USING (place)
        RIGHT JOIN sluice.place ON place.id = place WHERE consumer IN ('kept', 'replaced')
        GROUP BY 1, 2 ORDER BY 1, 2`
      await vi.waitFor(async () =>
        expect(await ask(count)).toEqual([
          { consumer: 'kept', version: 1, count: 1 },
          { consumer: 'replaced', version: 3, count: 1 },
        ]),
      )
      expect(
        await ask('SELECT DISTINCT place FROM sluice.state EXCEPT SELECT id FROM sluice.place'),
      ).toEqual([])
    })

    it('are distinguished from those of another program', async () => {
      const url = await emptyDatabase('newer')
      {
        await using store = openPostgresStates(url)
        await store.open('c')
      }
      const client = new pg.Client(url)
      await client.connect()
      await client.query('UPDATE sluice.format SET number = 2')
      await client.end()
      await using store = openPostgresStates(url)
      await expect(store.open('c')).rejects.toThrow(
        /format 2,.*needs format 1.*consumers\.postgresUrlFile/,
      )
    })
  })
})
