import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RunTool } from '../../config/process/time-sources.ts'
import { startClock } from '../../gateway/clock.ts'

describe('the clock', () => {
  let dir: string
  let time: { ms: number }
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-clock-'))
    time = { ms: 0 }
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  })
  afterEach(() => {
    vi.useRealTimers()
    rmSync(dir, { recursive: true })
  })
  const nothing: RunTool = async () => null
  const start = (run: RunTool, sources = ['timesyncd', 'chrony', 'timedatectl'] as const) =>
    startClock({ sources, syncedFile: join(dir, 'synchronized') }, run, () => time.ms)
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10_000) {
      time.ms += 10_000
      await vi.advanceTimersByTimeAsync(10_000)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  it('is UNSYNCED until the file exists, then SYNCED, and HOLDOVER when the file is gone', async () => {
    const file = join(dir, 'synchronized')
    const clock = await start(nothing)
    expect(clock.now()).toBe('UNSYNCED')
    writeFileSync(file, '')
    vi.advanceTimersByTime(10_000)
    await vi.waitFor(() => expect(clock.now()).toBe('SYNCED'))
    expect(clock.status()).toEqual({ state: 'SYNCED', source: 'timesyncd' })
    rmSync(file)
    vi.advanceTimersByTime(10_000)
    await vi.waitFor(() => expect(clock.now()).toBe('HOLDOVER'))
    clock.close()
  })

  it('follows a time daemon without a file, and runs each tool once a minute', async () => {
    let isRight = 'no'
    const calls: string[] = []
    const clock = await start(async (file, args) => {
      calls.push([file, ...args].join(' '))
      return file === 'timedatectl' ? `NTPSynchronized=${isRight}\n` : null
    })
    expect(clock.status()).toEqual({ state: 'UNSYNCED', source: 'timedatectl' })
    isRight = 'yes'
    await pass(50_000)
    expect(calls).toEqual(['chronyc -c tracking', 'timedatectl show -p NTPSynchronized'])
    expect(clock.now()).toBe('UNSYNCED')
    await pass(10_000)
    await vi.waitFor(() => expect(clock.now()).toBe('SYNCED'))
    expect(calls).toHaveLength(4)
    clock.close()
  })

  it('has an alarm with the fitting cure when nothing confirms the clock for ten minutes', async () => {
    const clock = await start(nothing)
    await pass(590_000)
    expect(clock.alarms()).toEqual([])
    await pass(10_000)
    expect(clock.alarms()).toEqual([
      expect.stringMatching(/^nothing confirms the clock for 10 min: .*UNSYNCED.*start systemd/),
    ])
    writeFileSync(join(dir, 'synchronized'), '')
    await pass(10_000)
    await vi.waitFor(() => expect(clock.alarms()).toEqual([]))
    clock.close()
  })

  it('does not wait long for a tool that hangs', async () => {
    const clock = await start(() => new Promise(() => {}))
    expect(clock.status()).toEqual({ state: 'UNSYNCED', source: null })
    clock.close()
  })
})
