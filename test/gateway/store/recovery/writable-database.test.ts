import { readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CannotStart } from '../../../../config/process/lifetime.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { temporary } from '../fixture.ts'
import { mountSmallDisk } from '../full-disk.ts'

/** The error with which an outbox cannot be opened. */
function openError(file: string): CannotStart {
  try {
    openOutbox({ file, gateway: 'gw' }).close()
  } catch (error) {
    if (error instanceof CannotStart) return error
    throw error
  }
  throw new Error(`${file} was opened`)
}

using probe = mountSmallDisk(500_000)

describe('an outbox that cannot be opened', () => {
  it('is not created beside a missing volume', () => {
    using place = temporary()
    const file = place.file('volume/sluice/outbox.db')
    const { message, exitCode } = openError(file)
    expect(message).toContain(`outbox.file = ${file}: ENOENT`)
    expect(message).toContain(`Create the directory above ${dirname(file)}, or name another path`)
    expect(exitCode).toBe(2)
    expect(readdirSync(place.file(''))).toEqual([])
  })

  it('names key, path and cure when the path is a directory', () => {
    using place = temporary()
    const file = place.file('')
    expect(openError(file).message).toMatch(
      /^outbox\.file = .*: unable to open .*name another path/,
    )
  })

  it('names key, path and cure when a file is in the place of its directory', () => {
    using place = temporary()
    writeFileSync(place.file('data'), '')
    expect(openError(place.file('data/outbox.db')).message).toMatch(
      /^outbox\.file = .*another path/,
    )
  })

  it.skipIf(!probe)('reports a full disk as an error that may pass', () => {
    using disk = mountSmallDisk(500_000)!
    disk.fillAllBut(0)
    const { message, exitCode } = openError(disk.file('outbox.db'))
    expect(message).toContain('database or disk is full. Free some space on that disk')
    expect(exitCode).toBe(1)
    disk.free()
    expect(() => openError(disk.file('outbox.db'))).toThrow('was opened')
  })
})
