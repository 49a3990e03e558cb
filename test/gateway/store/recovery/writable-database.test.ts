import { readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CannotStart } from '../../../../config/process/lifetime.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { temporary } from '../fixture.ts'
import { mountSmallDisk } from '../full-disk.ts'

/** Why an outbox cannot be opened. */
function whyNot(file: string): CannotStart {
  try {
    openOutbox({ file, gateway: 'gw' }).close()
  } catch (error) {
    if (error instanceof CannotStart) return error
    throw error
  }
  throw new Error(`${file} was opened`)
}

using probe = mountSmallDisk(500_000)

describe('an outbox that cannot be where it is to be', () => {
  it('is not begun beside a volume that is missing', () => {
    using place = temporary()
    const file = place.file('volume/sluice/outbox.db')
    const { message, exitCode } = whyNot(file)
    expect(message).toContain(`outbox.file = ${file}: ENOENT`)
    expect(message).toContain(`Create the directory above ${dirname(file)}, or name another path`)
    expect(exitCode).toBe(2)
    expect(readdirSync(place.file(''))).toEqual([])
  })

  it('names key, path and cure when the path is a directory', () => {
    using place = temporary()
    const file = place.file('')
    expect(whyNot(file).message).toMatch(/^outbox\.file = .*: unable to open .*name another path/)
  })

  it('names key, path and cure when a file stands where its directory is to be', () => {
    using place = temporary()
    writeFileSync(place.file('data'), '')
    expect(whyNot(place.file('data/outbox.db')).message).toMatch(/^outbox\.file = .*another path/)
  })

  it.skipIf(!probe)('says so on a full disk, which may pass', () => {
    using disk = mountSmallDisk(500_000)!
    disk.fillAllBut(0)
    const { message, exitCode } = whyNot(disk.file('outbox.db'))
    expect(message).toContain('database or disk is full. Free some space on that disk')
    expect(exitCode).toBe(1)
    disk.free()
    expect(() => whyNot(disk.file('outbox.db'))).toThrow('was opened')
  })
})
