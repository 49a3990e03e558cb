import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import { archivedIn, committedIn, filesIn, someEvents, temporaryDir } from './fixture.ts'

const member = fileURLToPath(new URL('./killed-member.ts', import.meta.url))
const EVENTS = 120
const KILLS = 3

/** Runs a member until something new stands in the archive and a while passed, then kills it. */
async function runAndKill(dir: string, afterMs: number): Promise<void> {
  const before = countIn(dir)
  const child = spawn(process.execPath, [member, '--dir', dir, '--events', `${EVENTS}`], {
    stdio: 'ignore',
  })
  const over = once(child, 'exit')
  let isOver = false
  over.then(() => {
    isOver = true
  })
  while (!isOver && countIn(dir) === before) await sleep(5)
  await sleep(afterMs)
  child.kill('SIGKILL')
  await over
}

const countIn = (dir: string) => readdirSync(dir, { recursive: true }).length

it('killed again and again, the archive has each event once and no other file', async () => {
  using place = temporaryDir()
  for (let kill = 0; kill < KILLS; kill++) await runAndKill(place.dir, 20 + kill * 7)
  const child = spawn(process.execPath, [member, '--dir', place.dir, '--events', `${EVENTS}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(filesIn(place.dir)).toEqual(committedIn(place.dir))
  expect((await archivedIn(place.dir)).map(({ event }) => event)).toEqual(someEvents(EVENTS))
  expect((await verifyArchive(place.dir, []))!.faults).toEqual([])
}, 60_000)
