import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  openStateStore,
  type StateLocation,
} from '../../cloud-bridge/consumers/state/configured-store.ts'
import { keyOf, keysWithPrefix } from '../../cloud-bridge/consumers/state/row-keys.ts'
import {
  type Effect,
  Fenced,
  type PartitionState,
  type StateStore,
  StateUnavailable,
} from '../../cloud-bridge/consumers/state/state.ts'
import { bytes, readAll, rowsOf, type StateRig, type StateSuite } from './state-rig.ts'
import { describeVersions } from './state-versions.ts'

const effect = (id: string, value: string): Effect => {
  return { id, topic: 't', key: 'to', value: bytes(value) }
}

/** The contract of StateStore, ConsumerState and PartitionState, for every implementation. */
export function describeStateStore(name: string, openRig: () => Promise<StateRig>): void {
  describe(`states, ${name}`, () => {
    let rig: StateRig
    let store: StateStore
    let names = 0
    beforeAll(async () => {
      rig = await openRig()
      store = openStateStore(rig.place)
    })
    afterAll(async () => {
      await store?.[Symbol.asyncDispose]()
      await rig?.[Symbol.asyncDispose]()
    })
    const drawName = () => `consumer-${++names}`
    const suite = { rig: () => rig, store: () => store, drawName }
    describeRows(suite)
    describeEffects(suite)
    describeFence(suite)
    describeVersions(suite)
  })
}

/** Takes ownership of partition 0 of a new consumer. */
async function claimNew({ store, drawName }: StateSuite): Promise<PartitionState> {
  return (await store().open(drawName())).claim(0)
}

function describeRows(suite: StateSuite): void {
  it('orders rows by code points, with any characters in their keys', async () => {
    const state = await claimNew(suite)
    const parts = ['b', 'a', '', 'a\u0000', 'a\u0001b', 'é', '\uffff', '😀', 'a\u0003', 'A', '\\x']
    await state.commit({ rows: new Map(parts.map(part => [keyOf('k', part), bytes(part)])) })
    const inOrder = parts.toSorted((one, other) => Buffer.compare(bytes(one), bytes(other)))
    expect(await readAll(state)).toEqual(inOrder)
    const keys = [...parts, 'not there'].map(part => keyOf('k', part))
    const values = await state.get([...keys, keys[0]!])
    expect(values.map(value => value?.toString() ?? null)).toEqual([...parts, null, 'b'])
  })

  it('reads a range from its first key to before its last, in both directions, up to a limit', async () => {
    const state = await claimNew(suite)
    await state.commit({ rows: rowsOf({ a: 'a', b: 'b', c: 'c', d: 'd' }) })
    const range = { from: keyOf('k', 'b'), to: keyOf('k', 'd') }
    const read = async (more: object) =>
      (await state.range({ ...range, ...more })).map(({ value }) => value.toString()).join('')
    expect(await read({})).toBe('bc')
    expect(await read({ backwards: true })).toBe('cb')
    expect(await read({ limit: 1 })).toBe('b')
    expect(await read({ limit: 1, backwards: true })).toBe('c')
    expect(await read({ from: keyOf('k', 'x'), to: keyOf('k', 'z') })).toBe('')
    expect(await state.range(keysWithPrefix('other'))).toEqual([])
  })

  it('replaces and deletes rows', async () => {
    const state = await claimNew(suite)
    await state.commit({ rows: rowsOf({ a: '1', b: '2', c: '' }) })
    await state.commit({ rows: rowsOf({ a: '3', b: null, none: null }) })
    expect(await readAll(state)).toEqual(['3', ''])
  })

  it('commits atomically', async () => {
    const state = await claimNew(suite)
    await state.commit({ rows: rowsOf({ a: '1' }), offsets: new Map([['t', 1]]) })
    const broken = { ...effect('e', ''), value: null as never }
    const rows = rowsOf({ a: '2', b: '2' })
    const offsets = new Map([['t', 2]])
    await expect(state.commit({ rows, offsets, effects: [broken] })).rejects.toThrow()
    expect(await readAll(state)).toEqual(['1'])
    await state.commit({ offsets: new Map([['u', 7]]) })
  })

  it('shows only committed rows and offsets, also to readers without a claim', async () => {
    const consumer = await suite.store().open(suite.drawName())
    const reader = await consumer.reader(0)
    const state = await consumer.claim(0)
    const broken = { ...effect('e', ''), value: null as never }
    await state.commit({ rows: rowsOf({ a: '2' }), effects: [broken] }).catch(() => {})
    expect(await readAll(reader)).toEqual([])
    await state.commit({ rows: rowsOf({ a: '1' }), offsets: new Map([['t', 3]]) })
    expect(await readAll(reader)).toEqual(['1'])
    expect((await consumer.reader(0)).offsets).toEqual(new Map([['t', 3]]))
  })

  it('accepts a row of 5 MB, and a key of 2600 bytes', async () => {
    const state = await claimNew(suite)
    const long = randomBytes(1300).toString('hex')
    await state.commit({ rows: new Map([[long, bytes('long')]]) })
    expect(String((await state.get([long]))[0])).toBe('long')
    const large = Buffer.alloc(5_000_000, 0).map((_, at) => at % 251)
    await state.commit({ rows: new Map([['large', Buffer.from(large)]]) })
    expect((await state.get(['large']))[0]!.equals(large)).toBe(true)
  })

  it('accepts 100,000 rows in one commit', async () => {
    const state = await claimNew(suite)
    const rows = new Map<string, Buffer | null>()
    for (let at = 0; at < 100_000; at++) rows.set(keyOf('k', String(at)), bytes(`${at}`))
    await state.commit({ rows })
    expect(new Set(await readAll(state)).size).toBe(100_000)
    expect((await state.get([...rows.keys()])).map(value => value?.toString()).at(-1)).toBe('99999')
    for (const key of rows.keys()) rows.set(key, null)
    await state.commit({ rows })
    expect(await readAll(state)).toEqual([])
  })
}

function describeEffects(suite: StateSuite): void {
  it('gives the committed offsets at a claim', async () => {
    const consumer = await suite.store().open(suite.drawName())
    const state = await consumer.claim(3)
    expect(state.offsets).toEqual(new Map())
    await state.commit({ offsets: new Map([['t', 5]]) })
    const large = Number.MAX_SAFE_INTEGER - 1
    await state.commit({ offsets: new Map([['u', large]]) })
    await state.commit({ offsets: new Map([['t', 6]]) })
    const reclaimed = await consumer.claim(3)
    const entries = [...reclaimed.offsets].toSorted()
    expect(entries).toEqual([
      ['t', 6],
      ['u', large],
    ])
  })

  it('keeps effects in order until they are sent', async () => {
    const state = await claimNew(suite)
    const names = ['b', 'a', 'c']
    await state.commit({ effects: names.map(id => effect(id, id)) })
    const waiting = await state.pendingEffects(10)
    expect(waiting.map(({ number, ...rest }) => rest)).toEqual(names.map(id => effect(id, id)))
    expect((await state.pendingEffects(2)).map(({ id }) => id)).toEqual(['b', 'a'])
    await state.commit({ sent: waiting.slice(0, 2) })
    expect((await state.pendingEffects(10)).map(({ id }) => id)).toEqual(['c'])
  })

  it('replaces an effect by a newer effect with the same id, which is then unsent', async () => {
    const state = await claimNew(suite)
    await state.commit({ effects: [effect('a', 'old'), effect('b', 'b')] })
    const before = await state.pendingEffects(10)
    await state.commit({ effects: [effect('a', 'new')] })
    await state.commit({ sent: before })
    const [left, ...others] = await state.pendingEffects(10)
    expect([left!.value.toString(), others]).toEqual(['new', []])
    expect(left!.number).toBeGreaterThan(before[1]!.number)
    const twice = [effect('c', '1'), effect('c', '2')]
    await state.commit({ sent: [left!], effects: [...twice, effect('a', 'newest')] })
    expect((await state.pendingEffects(10)).map(({ value }) => value.toString())).toEqual([
      '2',
      'newest',
    ])
  })
}

function describeFence(suite: StateSuite): void {
  it('fences every older claim, also of another store', async () => {
    const name = suite.drawName()
    await using other = openStateStore(suite.rig().place)
    const first = await (await suite.store().open(name)).claim(0)
    const beside = await (await suite.store().open(name)).claim(1)
    await first.commit({ rows: rowsOf({ a: '1' }) })
    const second = await (await other.open(name)).claim(0)
    const changes = { rows: rowsOf({ a: '2' }), offsets: new Map([['t', 9]]) }
    await expect(first.commit(changes)).rejects.toThrow(Fenced)
    expect(await readAll(second)).toEqual(['1'])
    await second.commit({ rows: rowsOf({ a: '3' }) })
    await expect(first.commit({})).rejects.toThrow(Fenced)
    const third = await (await suite.store().open(name)).claim(0)
    await expect(second.commit(changes)).rejects.toThrow(Fenced)
    expect([await readAll(third), [...third.offsets]]).toEqual([['3'], []])
    await beside.commit({ rows: rowsOf({ a: 'beside' }) })
  })

  it('fences a concurrent commit, or shows all of it, at a claim', async () => {
    const name = suite.drawName()
    await using other = openStateStore(suite.rig().place)
    const stores = [suite.store(), other]
    let expected = 0
    let owner = await (await other.open(name)).claim(0)
    for (let round = 1; round <= 20; round++) {
      const rows = rowsOf(
        Object.fromEntries(Array.from({ length: 200 }, (_, at) => [at, `${round}`])),
      )
      const committing = owner.commit({ rows, offsets: new Map([['t', round]]) })
      const next = (await stores[round % 2]!.open(name)).claim(0)
      const [fate] = await Promise.allSettled([committing, next])
      if (fate.status === 'fulfilled') expected = round
      else expect(fate.reason).toBeInstanceOf(Fenced)
      owner = await next
      expect(owner.offsets.get('t') ?? 0).toBe(expected)
      expect([...new Set(await readAll(owner))]).toEqual(expected === 0 ? [] : [`${expected}`])
    }
  })

  it('fences between processes', async () => {
    const name = suite.drawName()
    const member = await startMember(suite.rig().place, name)
    await using _ = member
    expect(await member.commit('one')).toBe('committed')
    const other = await startMember(suite.rig().place, name)
    await using __ = other
    expect(await member.commit('two')).toBe('Fenced')
    expect(await other.commit('three')).toBe('committed')
    const state = await (await suite.store().open(name)).claim(0)
    expect(await other.commit('four')).toBe('Fenced')
    expect((await state.get(['one', 'two', 'three', 'four'])).map(String)).toEqual([
      ...['one', 'null', 'three', 'null'],
    ])
  })

  it('is created once when processes open it at the same time', async () => {
    const name = suite.drawName()
    const start = () => startMember(suite.rig().place, name)
    const members = await Promise.all([start(), start()])
    await using stack = new AsyncDisposableStack()
    for (const member of members) stack.use(member)
    const fates = await Promise.all(members.map((member, at) => member.commit(`${at}`)))
    expect(fates.toSorted()).toEqual(['Fenced', 'committed'])
  })

  it('rejects with StateUnavailable while unavailable; the same changes are then applied once', async () => {
    const name = suite.drawName()
    const state = await (await suite.store().open(name)).claim(0)
    const restore = await suite.rig().makeUnreachable(name)
    const changes = {
      ...{ rows: rowsOf({ a: '1' }), offsets: new Map([['t', 1]]), effects: [effect('e', 'e')] },
    }
    await expect(state.commit(changes)).rejects.toThrow(StateUnavailable)
    await restore()
    await state.commit(changes)
    await state.commit(changes)
    expect(await readAll(state)).toEqual(['1'])
    expect((await state.pendingEffects(10)).map(({ id }) => id)).toEqual(['e'])
    expect((await (await suite.store().open(name)).claim(0)).offsets).toEqual(new Map([['t', 1]]))
  })
}

async function startMember(place: StateLocation, consumer: string) {
  const file = new URL('state-member.ts', import.meta.url).pathname
  const args = [file, JSON.stringify(place), consumer]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('claimed')
  return {
    async commit(row: string): Promise<string> {
      child.stdin.write(`${row}\n`)
      return String((await lines.next()).value)
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
