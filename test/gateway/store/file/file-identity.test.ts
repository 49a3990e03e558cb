import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import {
  createIdentityCheck,
  ReplacedFileError,
} from '../../../../gateway/store/file/file-identity.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { createReopeningReader } from '../../../../gateway/store/read/reopening-reader.ts'
import { numbered } from '../../../contracts/accept.ts'
import { openWriterAccept } from '../../../contracts/writer-accept.ts'
import { reading, temporary } from '../fixture.ts'

const FILES = ['', '-wal', '-shm', '.lock', '.bell']
const replaceWithCopy = (file: string) => {
  copyFileSync(file, `${file}.copy`)
  renameSync(`${file}.copy`, file)
}
const events: [string, (file: string) => void][] = [
  ['deleted', file => rmSync(file)],
  ['moved away', file => renameSync(file, `${file}.moved`)],
  ['replaced by a copy', replaceWithCopy],
]
const cases = FILES.flatMap(end => events.map(([name, event]) => [end, name, event] as const))

describe('an identity check', () => {
  it('names the file, and counts a file that appears later', () => {
    using place = temporary()
    const [first, later] = [place.file('a'), place.file('b')]
    writeFileSync(first, 'x')
    const check = createIdentityCheck([first, later])
    check()
    writeFileSync(later, 'x')
    check()
    writeFileSync(first, 'longer')
    check()
    rmSync(later)
    expect(check).toThrow(new RegExp(`^${later} was deleted or moved away`))
    expect(check).toThrow(ReplacedFileError)
  })
})

describe('a gateway whose outbox is taken away', () => {
  it.each(cases)('acknowledges nothing more: outbox.db%s, %s', async (end, _, event) => {
    const onFailed = vi.fn()
    const rig = await openWriterAccept({ onFailed })
    await rig.accept(numbered(1), {})
    event(rig.outboxFile + end)
    await expect(rig.accept(numbered(2), {})).rejects.toThrow(`outbox.db${end} was`)
    expect(onFailed.mock.calls[0]![0]).toContain(`outbox.db${end} was`)
    await rig[Symbol.asyncDispose]()
  })

  it('ends within a tick also without a message, when the whole directory is gone', async () => {
    const onFailed = vi.fn()
    const rig = await openWriterAccept({ onFailed })
    await rig.accept(numbered(1), {})
    const dir = dirname(rig.outboxFile)
    renameSync(dir, `${dir}.moved`)
    mkdirSync(dir)
    await vi.waitFor(() => expect(onFailed).toHaveBeenCalled(), { timeout: 20_000 })
    expect(onFailed.mock.calls[0]![0]).toContain('outbox.db was deleted or moved away')
    await rig[Symbol.asyncDispose]()
    rmSync(`${dir}.moved`, { recursive: true })
  })
})

describe('an inbox', () => {
  it.each(cases)('notices that it is taken away: inbox.db%s, %s', (end, _, event) => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: 1000 })
    inbox.addNotes([])
    inbox.checkFiles()
    event(file + end)
    expect(() => inbox.checkFiles()).toThrow(`inbox.db${end} was`)
    inbox.close()
  })
})

describe('the reader of an outbox', () => {
  it.each(['', '-wal', '-shm'])('opens the outbox again when outbox.db%s was replaced', end => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.commit({ readings: [reading('z')], deadLetters: [] })
    const reader = createReopeningReader(file)
    expect(reader.refresh()).toBe(true)
    expect(reader.refresh()).toBe(false)
    replaceWithCopy(file + end)
    expect(reader.refresh()).toBe(true)
    reader.close()
    outbox.close()
  })
})
