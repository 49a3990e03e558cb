import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startWriterWatch } from '../../../gateway/ingest/writer-watch.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function startWatch(alarmAfterMs = 10_000) {
  const calls: string[] = []
  const watch = startWriterWatch({
    ...{ alarmAfterMs, endAfterMs: 60_000 },
    onSilent: () => calls.push('silent'),
    onAnswered: () => calls.push('answered'),
    onEnd: () => calls.push('end'),
  })
  return { watch, calls }
}

describe('the watch on the writer thread', () => {
  it('is content with answers that take less than alarmAfterMs each', () => {
    const { watch, calls } = startWatch()
    for (let request = 0; request < 20; request++) {
      watch.begin()
      vi.advanceTimersByTime(9000)
      expect(watch.silentMs).toBe(null)
      watch.end()
      vi.advanceTimersByTime(9000)
    }
    expect(calls).toEqual([])
    watch.stop()
  })

  it('reports a slow answer with its duration, and that it arrived, without an end', () => {
    const { watch, calls } = startWatch()
    watch.begin()
    vi.advanceTimersByTime(50_000)
    expect(watch.silentMs).toBe(50_000)
    watch.end()
    expect([watch.silentMs, calls]).toEqual([null, ['silent', 'answered']])
    watch.stop()
  })

  it('does not count the time before the request', () => {
    const { watch, calls } = startWatch(100)
    vi.advanceTimersByTime(499)
    watch.begin()
    vi.advanceTimersByTime(2)
    watch.end()
    expect([watch.silentMs, calls]).toEqual([null, []])
    watch.stop()
  })

  it('calls for the end once, after endAfterMs', () => {
    const { watch, calls } = startWatch()
    watch.begin()
    vi.advanceTimersByTime(59_000)
    expect(calls).toEqual(['silent'])
    vi.advanceTimersByTime(100_000)
    expect(calls).toEqual(['silent', 'end'])
    watch.stop()
  })

  it('does not count the time in which the whole process stood still', () => {
    const { watch, calls } = startWatch()
    watch.begin()
    vi.advanceTimersByTime(5000)
    // A stopped process runs no timers; its monotonic clock continues.
    const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 3_600_000)
    vi.advanceTimersByTime(500)
    now.mockRestore()
    expect([watch.silentMs, calls]).toEqual([null, []])
    watch.stop()
  })

  it('is not deceived by a wall clock that jumps', () => {
    const { watch, calls } = startWatch()
    watch.begin()
    vi.setSystemTime(Date.now() + 86_400_000)
    vi.advanceTimersByTime(5000)
    vi.setSystemTime(0)
    vi.advanceTimersByTime(4000)
    expect([watch.silentMs, calls]).toEqual([null, []])
    watch.stop()
  })
})
