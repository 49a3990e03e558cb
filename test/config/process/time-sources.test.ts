import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  clockCure,
  readClock,
  runTool,
  timeSourceNames,
} from '../../../config/process/time-sources.ts'

const chrony = (more: { reference?: string; offset?: string; leap?: string } = {}) => {
  const { reference = 'C0A80001', offset = '-0.000012345', leap = 'Normal' } = more
  const numbers = '0.000010,0.000020,-1.234,0.001,0.050,0.010,0.001,64.5'
  return `${reference},ntp.example,3,1780000000.123456789,${offset},${numbers},${leap}`
}
const ntpq = (more: { leap?: string; stratum?: number; offset?: string; sync?: string } = {}) => {
  const { leap = '00', stratum = 3, offset = '-0.512', sync = 'sync_ntp' } = more
  return `associd=0 status=0615 leap_none, ${sync}, 1 event, clock_sync,
version="ntpd 4.2.8p15", processor="armv7l", leap=${leap}, stratum=${stratum},
precision=-20, rootdelay=1.1, refid=10.0.0.1, offset=${offset}, frequency=-1.2`
}

describe('the clock of a machine', () => {
  let dir: string
  let syncedFile: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-time-'))
    syncedFile = join(dir, 'synchronized')
    // A machine without any of the tools, except the shell of the tools below.
    vi.stubEnv('PATH', dir)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(dir, { recursive: true })
  })
  /** Puts a tool into the PATH that prints a text when it gets exactly these arguments. */
  const install = (name: string, args: string, output: string, exit = 0) => {
    const file = join(dir, name)
    const text = output.replaceAll("'", '')
    writeFileSync(
      file,
      `#!/bin/sh\n[ "$*" = '${args}' ] || exit 9\nprintf '%s\\n' '${text}'\nexit ${exit}\n`,
    )
    chmodSync(file, 0o755)
  }
  const read = (sources = timeSourceNames as readonly (typeof timeSourceNames)[number][]) =>
    readClock({ sources, syncedFile })

  it('is unknown where no source answers, and the cure names the sources', async () => {
    const answer = await read()
    expect(answer).toMatchObject({ source: null, isSynchronised: false })
    expect(Object.values(answer.answers)).toEqual(Array(4).fill('no answer'))
    expect(clockCure(answer)).toMatch(/timesyncd, chrony, ntpd, timedatectl.*start systemd/)
  })

  it.each([
    ['a server', chrony(), true],
    ['a leap second to come', chrony({ leap: 'Insert second' }), true],
    ['no server', chrony({ reference: '00000000', leap: 'Not synchronised' }), false],
    ['its own clock', chrony({ reference: '7F7F0101' }), false],
    ['a server, and an hour still to correct', chrony({ offset: '3600.5' }), false],
  ])('is judged by chrony with %s', async (_, output, isSynchronised) => {
    install('chronyc', '-c tracking', output)
    const answer = await read()
    expect(answer).toMatchObject({ source: 'chrony', isSynchronised })
    if (!isSynchronised) expect(clockCure(answer)).toContain('chronyc sources')
  })

  it.each([
    ['a server', ntpq(), true],
    ['no server', ntpq({ leap: '11', stratum: 16, sync: 'sync_unspec' }), false],
    ['its own clock', ntpq({ sync: 'sync_local' }), false],
    ['a server, and two seconds still to correct', ntpq({ offset: '+2000.1' }), false],
  ])('is judged by ntpd with %s', async (_, output, isSynchronised) => {
    install('chronyc', '-c tracking', '506 Cannot talk to daemon', 1)
    install('ntpq', '-c rv', output)
    const answer = await read()
    expect(answer).toMatchObject({ source: 'ntpd', isSynchronised })
    if (!isSynchronised) expect(clockCure(answer)).toContain('ntpq -p')
  })

  it.each([
    ['yes', true],
    ['no', false],
  ])('is judged by the kernel: %s', async (word, isSynchronised) => {
    install('ntpq', '-c rv', 'ntpq: read: Connection refused')
    install('timedatectl', 'show -p NTPSynchronized', `NTPSynchronized=${word}`)
    const answer = await read()
    expect(answer).toMatchObject({ source: 'timedatectl', isSynchronised })
    if (!isSynchronised) expect(clockCure(answer)).toContain('set-ntp')
  })

  it('is judged by the first source in the configured order that answers', async () => {
    install('chronyc', '-c tracking', chrony({ leap: 'Not synchronised' }))
    install('timedatectl', 'show -p NTPSynchronized', 'NTPSynchronized=yes')
    expect(await read()).toMatchObject({ source: 'chrony', isSynchronised: false })
    const other = await read(['timedatectl', 'chrony'])
    expect(other).toMatchObject({ source: 'timedatectl', isSynchronised: true })
    writeFileSync(syncedFile, '')
    expect(await read()).toMatchObject({ source: 'timesyncd', isSynchronised: true })
    expect(await read(['ntpd'])).toMatchObject({ source: null })
  })

  it.each(['', 'x', ',,,', 'NTPSynchronized=', 'leap=', '\u0000'.repeat(100)])(
    'is not judged by a tool that prints %j',
    async output => {
      for (const source of timeSourceNames.slice(1)) {
        const answer = await readClock({ sources: [source], syncedFile }, async () => output)
        expect(answer).toMatchObject({ source: null, isSynchronised: false })
      }
    },
  )

  it('is read without a shell, and a tool that prints without end is no answer', async () => {
    expect(await runTool('echo $HOME; true', [])).toBe(null)
    const file = join(dir, 'chronyc')
    writeFileSync(file, '#!/bin/sh\nwhile :; do printf "%01000d" 0; done\n')
    chmodSync(file, 0o755)
    expect(await read(['chrony'])).toMatchObject({ source: null })
  })
})
