import { expect, it } from 'vitest'
import { pause } from '../../../config/process/pause.ts'

it('resolves after its time', async () => {
  const startedMs = performance.now()
  await pause(20)
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(19)
})

it('resolves without an error as soon as its signal aborts', async () => {
  const ending = new AbortController()
  const paused = pause(60_000, ending.signal)
  ending.abort()
  await expect(paused).resolves.toBeUndefined()
  await expect(pause(60_000, AbortSignal.abort())).resolves.toBeUndefined()
})
