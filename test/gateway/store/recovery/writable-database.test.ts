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
  it.each(['volume/outbox.db', 'volume/sluice/outbox.db'])(
    'is not created beside a missing volume: %s',
    name => {
      using place = temporary()
      const file = place.file(name)
      const { message, exitCode } = openError(file)
      expect(message).toBe(
        `outbox.file = ${file}: the directory ${dirname(file)} is not there. ` +
          'Mount its disk, or create the directory',
      )
      expect(exitCode).toBe(2)
      expect(readdirSync(place.file(''))).toEqual([])
    },
  )

  it('names key, path and cure when the path is a directory', () => {
    using place = temporary()
    const { message, exitCode } = openError(place.dir)
    expect(message).toBe(
      `outbox.file = ${place.dir}: this path is a directory. ` +
        `Name a file in the directory, such as ${place.file('outbox.db')}`,
    )
    expect(exitCode).toBe(2)
    expect(readdirSync(place.dir)).toEqual([])
  })

  it('names key, path and cure when a file is in the place of its directory', () => {
    using place = temporary()
    writeFileSync(place.file('data'), '')
    expect(openError(place.file('data/outbox.db')).message).toBe(
      `outbox.file = ${place.file('data/outbox.db')}: ${place.file('data')} is not a directory. ` +
        'Name a path in a directory',
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
