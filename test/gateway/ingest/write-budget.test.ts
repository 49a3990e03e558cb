import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { numbered } from '../../contracts/accept.ts'
import { openWriterAccept } from '../../contracts/writer-accept.ts'

beforeEach(() => {
  const toFake = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance']
  vi.useFakeTimers({ toFake: toFake as never })
})
afterEach(() => {
  vi.useRealTimers()
})

const READINGS_PER_S = 10
const SECONDS = 40

it('makes a real outbox commit less often, and keeps all acknowledged messages', async () => {
  let commits = 0
  await using rig = await openWriterAccept({
    outbox: { commitWindowMs: 20, commitAtEvents: 2, writeBudgetBytesPerDay: 1_048_576 },
    onCommitted: () => commits++,
  })
  const { writer } = rig
  const acknowledged: number[] = []
  const commitsPerS: number[] = []
  let last = 0
  for (let second = 0; second < SECONDS; second++) {
    const before = commits
    for (let at = 0; at < READINGS_PER_S; at++) {
      const n = ++last
      rig.accept(numbered(n), {}).then(() => acknowledged.push(n))
      vi.advanceTimersByTime(1000 / READINGS_PER_S)
      // This request runs between two commits, so a due commit is done after it. No dead letter has
      // this number.
      await writer.resolveDeadLetters({ action: 'retry', numbers: [1_000_000] })
    }
    commitsPerS.push(commits - before)
  }
  // Each reading has a commit of its own until the wear is known, then there is about one commit a
  // second.
  expect(commitsPerS.slice(0, 5)).toEqual([10, 10, 10, 10, 10])
  expect(Math.max(...commitsPerS.slice(-5))).toBeLessThanOrEqual(2)
  const { commitWindowMs, writtenBytes, perReadingBytes } = writer.wear()
  expect(commitWindowMs).toBeGreaterThan(900)
  expect(writtenBytes / last).toBeGreaterThan(1000)
  expect(perReadingBytes).toBeGreaterThan(1000)
  expect(rig.stored()).toEqual(acknowledged)
  await rig.restart()
  expect(acknowledged).toEqual(Array.from({ length: last }, (_, at) => at + 1))
  expect(rig.stored()).toEqual(acknowledged)
})
