import { expect, it } from 'vitest'
import { openStateStore } from '../../cloud-bridge/consumers/state/configured-store.ts'
import { Fenced } from '../../cloud-bridge/consumers/state/state.ts'
import { readAll, rowsOf, type StateSuite } from './state-rig.ts'

/** The part of the contract that is about versions of a state. */
export function describeVersions(suite: StateSuite): void {
  const open = (name: string) => suite.store().open(name)
  const build = (name: string) => suite.store().build(name)

  it('lists the claimed partitions', async () => {
    const state = await open(suite.drawName())
    await state.reader(4)
    expect(await state.partitions()).toEqual([])
    for (const partition of [10, 2, 0]) await state.claim(partition)
    expect(await state.partitions()).toEqual([0, 2, 10])
  })

  it('builds a version beside the current version, which stays in use', async () => {
    const name = suite.drawName()
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

  it('makes a version current, and fences the previous version', async () => {
    const name = suite.drawName()
    const old = await open(name)
    const running = await old.claim(0)
    const building = await build(name)
    const next = await building.claim(0)
    await next.commit({ rows: rowsOf({ a: 'new' }) })
    await using other = openStateStore(suite.rig().place)
    await other.makeCurrent(name, building.version.number)
    await expect(running.commit({ rows: rowsOf({ a: 'stale' }) })).rejects.toThrow(Fenced)
    await expect(old.claim(1)).rejects.toThrow(Fenced)
    await next.commit({ rows: rowsOf({ b: 'goes on' }) })
    const now = await open(name)
    expect(now.version).toEqual({ number: building.version.number, isCurrent: true })
    expect(await readAll(await now.claim(0))).toEqual(['new', 'goes on'])
    await expect(suite.store().makeCurrent(name, old.version.number)).rejects.toThrow(Fenced)
  })

  it('replaces an unfinished build by a new build', async () => {
    const name = suite.drawName()
    await (await (await open(name)).claim(0)).commit({ rows: rowsOf({ a: 'current' }) })
    const first = await build(name)
    const unfinished = await first.claim(0)
    await unfinished.commit({ rows: rowsOf({ a: 'unfinished' }) })
    const second = await (await build(name)).claim(0)
    expect(await readAll(second)).toEqual([])
    await expect(unfinished.commit({})).rejects.toThrow(Fenced)
    await expect(suite.store().makeCurrent(name, first.version.number)).rejects.toThrow(Fenced)
    await second.commit({ rows: rowsOf({ a: 'second' }) })
    expect(await readAll(await (await open(name)).claim(0))).toEqual(['current'])
  })
}
