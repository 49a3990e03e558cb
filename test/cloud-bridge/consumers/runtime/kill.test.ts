import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  openStateStore,
  type StateLocation,
} from '../../../../cloud-bridge/consumers/state/configured-store.ts'
import { describeWithPostgres, startLocalPostgres } from '../../../setup/local-postgres.ts'
import { listed, temporaryStates } from './fixture.ts'
import { NUMBERS, ZONES } from './killed-member.ts'

const BEFORE_KILL_MAX_COMMITS = 20
const BEFORE_KILL_MAX_MS = 3
const program = new URL('killed-member.ts', import.meta.url).pathname

/** Runs a member until it has made some commits, and a moment, and kills it; 0 lets it end. */
async function runUntil(args: string[], commits: number): Promise<number | null> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let made = 0
  child.stdout.on('data', async (dots: Buffer) => {
    const isEnough = made < commits && made + dots.length >= commits
    made += dots.length
    if (!isEnough) return
    await sleep(Math.random() * BEFORE_KILL_MAX_MS)
    child.kill('SIGKILL')
  })
  return (await exited)[0]
}

/** Runs members on the states of a place, kills so many of them, and looks at what came of it. */
async function proveKills(place: StateLocation, kills: number, sentFile: string): Promise<void> {
  const args = [JSON.stringify(place), sentFile]
  let killed = 0
  for (let at = 0; at < kills; at++) {
    const commits = 1 + Math.floor(Math.random() * BEFORE_KILL_MAX_COMMITS)
    if ((await runUntil(args, commits)) === null) killed++
  }
  expect(killed).toBeGreaterThan(kills / 2)
  expect(await runUntil(args, 0)).toBe(0)
  await using store = openStateStore(place)
  await using state = await store.open('listing')
  const reader = await state.reader(0)
  const all = Array.from({ length: NUMBERS }, (_, number) => number + 1)
  const ids = new Set<string>()
  for (let zone = 0; zone < ZONES; zone++) {
    const numbers = await listed(reader, `z${zone}`)
    expect(numbers.toSorted((one, other) => one - other)).toEqual(all)
    for (const number of all) ids.add(`listing/${zone}-${number}/0`)
  }
  const sent = readFileSync(sentFile, 'utf8').trim().split('\n')
  expect(new Set(sent.map(line => JSON.parse(line).id))).toEqual(ids)
  expect(await reader.pendingEffects(1)).toEqual([])
}

describe('kill -9', { timeout: 120_000 }, () => {
  it('twelve times on SQLite counts each event exactly once', async () => {
    await using states = temporaryStates()
    const place = { dir: states.dir, postgresUrl: null }
    await proveKills(place, 12, join(states.dir, 'sent'))
  })

  describeWithPostgres('with PostgreSQL', () => {
    it('four times on PostgreSQL counts each event exactly once', async () => {
      await using states = temporaryStates()
      await using server = await startLocalPostgres()
      const place = { dir: '', postgresUrl: server.url }
      await proveKills(place, 4, join(states.dir, 'sent'))
    })
  })
})
