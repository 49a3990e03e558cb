import { afterEach, expect, it, vi } from 'vitest'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

it('gives no port twice, though nobody listens on it yet', async () => {
  let calls = 0
  // The same number again and again, and then others.
  vi.spyOn(Math, 'random').mockImplementation(() => (calls++ < 4 ? 0.5 : calls / 100))
  const first = await findFreePort()
  expect(await findFreePort()).not.toBe(first)
})
