import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { defaults } from '../../../../config/config.ts'
import { startWriter, unreleasedBounds } from '../../../../gateway/ingest/writer.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { numbered } from '../../../contracts/accept.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

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
