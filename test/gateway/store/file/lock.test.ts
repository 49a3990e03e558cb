import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { acquireLock, findLockHolder, LockedError } from '../../../../gateway/store/file/lock.ts'
import { temporary } from '../fixture.ts'

const module = new URL('../../../../gateway/store/file/lock.ts', import.meta.url).href

/** Starts a process that acquires the lock, prints a line, and lives until it is killed. */
async function holderOf(file: string) {
  const code = `import { acquireLock } from ${JSON.stringify(module)}
    acquireLock(${JSON.stringify(file)})
    console.log('locked')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

describe('the lock', () => {
  it("has one holder, and a second holder's error names the file", () => {
    using place = temporary()
    const file = place.file('outbox.db.lock')
    const lock = acquireLock(file)
    expect(() => acquireLock(file)).toThrow(LockedError)
    expect(() => acquireLock(file)).toThrow(file)
    lock.close()
    acquireLock(file).close()
  })

  it('excludes other processes, and is released by kill -9 of its holder', async () => {
    using place = temporary()
    const file = place.file('outbox.db.lock')
    expect(findLockHolder(file)).toBe(null)
    const child = await holderOf(file)
    expect(() => acquireLock(file)).toThrow(LockedError)
    const isLinux = process.platform === 'linux'
    expect(findLockHolder(file)).toEqual({ pid: isLinux ? child.pid : null })
    if (isLinux) expect(() => acquireLock(file)).toThrow(`by process ${child.pid}`)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(findLockHolder(file)).toBe(null)
    acquireLock(file).close()
  })

  it('refuses a file that is not a lock', () => {
    using place = temporary()
    const file = place.file('outbox.db.lock')
    writeFileSync(file, 'something else, and longer than a header'.repeat(100))
    expect(() => acquireLock(file)).toThrow('not a database')
  })
})
