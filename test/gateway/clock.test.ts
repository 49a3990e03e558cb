import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startClock } from '../../gateway/clock.ts'

describe('the clock', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-clock-'))
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  })
  afterEach(() => {
    vi.useRealTimers()
    rmSync(dir, { recursive: true })
  })

  it('is UNSYNCED until the file exists, then SYNCED, and HOLDOVER when the file is gone', async () => {
    const file = join(dir, 'synchronized')
    const clock = await startClock(file)
    expect(clock.now()).toBe('UNSYNCED')
    writeFileSync(file, '')
    vi.advanceTimersByTime(10_000)
    await vi.waitFor(() => expect(clock.now()).toBe('SYNCED'))
    rmSync(file)
    vi.advanceTimersByTime(10_000)
    await vi.waitFor(() => expect(clock.now()).toBe('HOLDOVER'))
    clock.close()
  })
})
