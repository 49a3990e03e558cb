import { expect, it } from 'vitest'
import { openStateStore } from '../../cloud-bridge/consumers/state/configured-store.ts'
import { Fenced } from '../../cloud-bridge/consumers/state/state.ts'
import { readAll, rowsOf, type StateSuite } from './state-rig.ts'

/** The part of the suite that is about versions of a state. */
export function describeVersions(given: StateSuite): void {
  const open = (name: string) => given.store().open(name)
  const build = (name: string) => given.store().build(name)

  it('knows which partitions were claimed', async () => {
    const state = await open(given.drawName())
    await state.reader(4)
    expect(await state.partitions()).toEqual([])
    for (const partition of [10, 2, 0]) await state.claim(partition)
    expect(await state.partitions()).toEqual([0, 2, 10])
  })

  it('builds a version beside the current one, which goes on', async () => {
    const name = given.drawName()
    const current = await open(name)
    const running = await current.claim(0)
    await running.commit({ rows: rowsOf({ a: 'old' }), offsets: new Map([['t', 9]]) })
    const building = await build(name)
    expect([current.version.isCurrent, building.version.isCurrent]).toEqual([true, false])
    const next = await building.claim(0)
    expect([await readAll(next), [...next.offsets]]).toEqual([[], []])
    await next.commit({ rows: rowsOf({ a: 'new' }) })
    await running.commit({ rows: rowsOf({ b: 'goes on' }) })
    expect(await readAll(running)).toEqual(['old', 'goes on'])
    expect((await open(name)).version).toEqual(current.version)
  })

  it('makes it current, and fences the one before', async () => {
    const name = given.drawName()
    const old = await open(name)
    const running = await old.claim(0)
    const building = await build(name)
    const next = await building.claim(0)
    await next.commit({ rows: rowsOf({ a: 'new' }) })
    await using other = openStateStore(given.rig().place)
    await other.makeCurrent(name, building.version.number)
    await expect(running.commit({ rows: rowsOf({ a: 'stale' }) })).rejects.toThrow(Fenced)
    await expect(old.claim(1)).rejects.toThrow(Fenced)
    await next.commit({ rows: rowsOf({ b: 'goes on' }) })
    const now = await open(name)
    expect(now.version).toEqual({ number: building.version.number, isCurrent: true })
    expect(await readAll(await now.claim(0))).toEqual(['new', 'goes on'])
    await expect(given.store().makeCurrent(name, old.version.number)).rejects.toThrow(Fenced)
  })

  it('lets a build that begins replace one that was not finished', async () => {
    const name = given.drawName()
    await (await (await open(name)).claim(0)).commit({ rows: rowsOf({ a: 'current' }) })
    const first = await build(name)
    const unfinished = await first.claim(0)
    await unfinished.commit({ rows: rowsOf({ a: 'unfinished' }) })
    const second = await (await build(name)).claim(0)
    expect(await readAll(second)).toEqual([])
    await expect(unfinished.commit({})).rejects.toThrow(Fenced)
    await expect(given.store().makeCurrent(name, first.version.number)).rejects.toThrow(Fenced)
    await second.commit({ rows: rowsOf({ a: 'second' }) })
    expect(await readAll(await (await open(name)).claim(0))).toEqual(['current'])
  })
}
