import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { openFaultInjection } from '../../../../simulators/rehearse/inject/injection.ts'
import { temporary } from '../../../gateway/store/fixture.ts'

using probe = openFaultInjection()

describe.skipIf(probe === null)('faults in front of libc', () => {
  const run = (script: string, env: NodeJS.ProcessEnv) =>
    execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', env, stdio: 'pipe' })
  const commit = (file: string) =>
    `const db = new (require('better-sqlite3'))(${JSON.stringify(file)})
     try { db.exec('CREATE TABLE t (a)'); console.log('done') }
     catch (error) { console.log(error.code) }`

  it('change nothing before they are set', () => {
    using place = temporary()
    using injection = openFaultInjection()!
    expect(run(commit(place.file('a.db')), injection.env)).toBe('done\n')
  })

  it.each([
    [{ writes: 'ENOSPC' } as const, 'SQLITE_FULL'],
    [{ writes: 'EIO' } as const, 'SQLITE_IOERR_WRITE'],
    [{ syncs: 'EIO' } as const, 'SQLITE_IOERR_FSYNC'],
  ])('reach SQLite: %j', (faults, code) => {
    using place = temporary()
    using injection = openFaultInjection()!
    const file = place.file('a.db')
    run(commit(file).replace('CREATE TABLE t (a)', 'CREATE TABLE u (a)'), injection.env)
    injection.setFaults(faults)
    expect(run(commit(file), injection.env)).toBe(`${code}\n`)
  })

  it('shift the wall clock, not the monotonic one', () => {
    using injection = openFaultInjection()!
    injection.setFaults({ clockShiftS: -Math.floor(Date.now() / 1000) })
    const script = 'console.log(new Date().getFullYear(), performance.now() < 60000)'
    expect(run(script, { ...injection.env, TZ: 'UTC' })).toBe('1970 true\n')
  })
})
