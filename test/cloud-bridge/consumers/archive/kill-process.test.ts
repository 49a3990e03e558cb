import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import {
  createEvents,
  createTemporaryDir,
  listCommittedFiles,
  listFiles,
  readArchived,
} from './fixture.ts'

const member = fileURLToPath(new URL('./killed-member.ts', import.meta.url))
const EVENTS = 120
const KILLS = 3

/** Runs a member until the archive has a new file and `afterMs` more passed, then kills it. */
async function runAndKill(dir: string, afterMs: number): Promise<void> {
  const before = fileCount(dir)
  const child = spawn(process.execPath, [member, '--dir', dir, '--events', `${EVENTS}`], {
    stdio: 'ignore',
  })
  const exited = once(child, 'exit')
  let hasExited = false
  exited.then(() => {
    hasExited = true
  })
  while (!hasExited && fileCount(dir) === before) await sleep(5)
  await sleep(afterMs)
  child.kill('SIGKILL')
  await exited
}

const fileCount = (dir: string) => readdirSync(dir, { recursive: true }).length

it('after repeated kills the archive has each event once and no other file', async () => {
  using folder = createTemporaryDir()
  for (let kill = 0; kill < KILLS; kill++) await runAndKill(folder.dir, 20 + kill * 7)
  const child = spawn(process.execPath, [member, '--dir', folder.dir, '--events', `${EVENTS}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(listFiles(folder.dir)).toEqual(listCommittedFiles(folder.dir))
  expect((await readArchived(folder.dir)).map(({ event }) => event)).toEqual(createEvents(EVENTS))
  expect((await verifyArchive(folder.dir, []))!.faults).toEqual([])
}, 60_000)
