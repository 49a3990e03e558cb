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
import { listedNumbers, temporaryStates } from './fixture.ts'
import { NUMBERS, ZONES } from './killed-member.ts'

const BEFORE_KILL_MAX_COMMITS = 20
const BEFORE_KILL_MAX_MS = 3
const program = new URL('killed-member.ts', import.meta.url).pathname

/**
 * Runs a member and kills its process shortly after `commits` commits; 0: the member runs to its
 * end.
 */
async function runUntil(args: string[], commits: number): Promise<number | null> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let commitCount = 0
  child.stdout.on('data', async (dots: Buffer) => {
    const isEnough = commitCount < commits && commitCount + dots.length >= commits
    commitCount += dots.length
    if (!isEnough) return
    await sleep(Math.random() * BEFORE_KILL_MAX_MS)
    child.kill('SIGKILL')
  })
  return (await exited)[0]
}

/** Runs members on the states of a location, kills `kills` of them, and checks the result. */
async function proveKills(location: StateLocation, kills: number, sentFile: string): Promise<void> {
  const args = [JSON.stringify(location), sentFile]
  let killed = 0
  for (let at = 0; at < kills; at++) {
    const commits = 1 + Math.floor(Math.random() * BEFORE_KILL_MAX_COMMITS)
    if ((await runUntil(args, commits)) === null) killed++
  }
  expect(killed).toBeGreaterThan(kills / 2)
  expect(await runUntil(args, 0)).toBe(0)
  await using store = openStateStore(location)
  await using state = await store.open('listing')
  const reader = await state.reader(0)
  const all = Array.from({ length: NUMBERS }, (_, number) => number + 1)
  const ids = new Set<string>()
  for (let zone = 0; zone < ZONES; zone++) {
    const numbers = await listedNumbers(reader, `z${zone}`)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(all)
    for (const number of all) ids.add(`listing/${zone}-${number}/0`)
  }
  const sent = readFileSync(sentFile, 'utf8').trim().split('\n')
  expect(new Set(sent.map(line => JSON.parse(line).id))).toEqual(ids)
  expect(await reader.pendingEffects(1)).toEqual([])
}

describe('kill -9', { timeout: 120_000 }, () => {
  it('of twelve members on SQLite: each event counts exactly once', async () => {
    await using states = temporaryStates()
    const location = { dir: states.dir, postgresUrl: null }
    await proveKills(location, 12, join(states.dir, 'sent'))
  })

  describeWithPostgres('with PostgreSQL', () => {
    it('of four members on PostgreSQL: each event counts exactly once', async () => {
      await using states = temporaryStates()
      await using server = await startLocalPostgres()
      const location = { dir: '', postgresUrl: server.url }
      await proveKills(location, 4, join(states.dir, 'sent'))
    })
  })
})
