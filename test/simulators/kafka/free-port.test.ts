import { afterEach, expect, it, vi } from 'vitest'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

it('returns no port twice, even while no process listens on it', async () => {
  let calls = 0
  // Math.random returns the same number four times, and then other numbers.
  vi.spyOn(Math, 'random').mockImplementation(() => (calls++ < 4 ? 0.5 : calls / 100))
  const first = await findFreePort()
  expect(await findFreePort()).not.toBe(first)
})
