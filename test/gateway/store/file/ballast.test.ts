import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { defaults } from '../../../../config/config.ts'
import { startWriter, unreleasedBounds } from '../../../../gateway/ingest/writer.ts'
import { DISK_FULL } from '../../../../gateway/store/file/ballast.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { createReclaimSteps } from '../../../../gateway/store/retention/reclaim-steps.ts'
import { numbered } from '../../../contracts/accept.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

it.each([
  [DISK_FULL, 1],
  ['the ballast cannot be written: EACCES', 0],
])('without a ballast, events are deleted only on a full disk: %s', (fault, deletions) => {
  const deletion = { pruneKept: vi.fn(() => true), dropOldest: vi.fn(() => true) }
  const space = { truncateWal() {}, measure: () => ({ freeBytes: 0 }) }
  const ballast = { isPresent: false, fault, write: () => false, free: () => false }
  const parts = { deletion, space, ballast, deadLetterBytes: {}, thinning: {} }
  const settings = { ...defaults.outbox, whenFull: 'drop-oldest' as const }
  const steps = createReclaimSteps(parts as never, settings)
  const inbox = { pendingRanges: null, replayFrom: null, nextNote: 1 }
  expect(steps.restoreBallast(inbox)).toBe(deletions > 0)
  expect(deletion.pruneKept).toHaveBeenCalledTimes(deletions)
  expect(deletion.dropOldest).not.toHaveBeenCalled()
})

it('names the true reason when the ballast cannot be written, and deletes nothing meanwhile', async () => {
  using place = temporary()
  const file = place.file('outbox.db')
  const before = openOutbox({ file, gateway: 'gw' })
  before.commit({ readings: [reading('z', 1), reading('z', 2)], deadLetters: [] })
  before.close()
  // A directory that is not empty, in the place of the file: no user can write the ballast there.
  const obstacle = `${file}.ballast.new`
  mkdirSync(obstacle)
  writeFileSync(join(obstacle, 'x'), '')
  const onSpaceAvailable = vi.fn()
  const outbox = { ...defaults.outbox, file, commitWindowMs: 0, whenFull: 'drop-oldest' as const }
  const writer = await startWriter({
    ...{ gateway: 'gw', ingest: defaults.ingest, inboxFile: place.file('inbox.db'), outbox },
    ...{ unreleasedBounds: unreleasedBounds(defaults.gateway.mqtt) },
    ...{ clock: () => 'SYNCED', onCommitted() {}, onRefused() {}, onFailed() {} },
    onSpaceAvailable,
  })
  const reason = /^the ballast .*outbox\.db\.ballast, .* cannot be written: (?!.*full)/
  await expect(writer.accept(numbered(3), {})).rejects.toThrow(/the ballast .* cannot be written/)
  expect(writer.refusalReason).toMatch(reason)
  await vi.waitFor(() => expect(writer.status.backlog.events).toBe(2), 20_000)
  writer.prune()
  await vi.waitFor(() => expect(writer.refusalReason).toMatch(reason), 20_000)
  expect(readOutbox(file).events).toHaveLength(2)
  rmSync(join(obstacle, 'x'))
  rmdirSync(obstacle)
  await vi.waitFor(() => expect(onSpaceAvailable).toHaveBeenCalled(), 20_000)
  await writer.accept(numbered(3), {})
  await writer[Symbol.asyncDispose]()
  expect(readOutbox(file).events).toHaveLength(3)
})
