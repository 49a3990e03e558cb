import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createPoke } from '../../../cloud-bridge/forward/poke.ts'

const never = new AbortController().signal

/** A loop that polls once an hour; a poll takes 10 ms. */
function startPolling() {
  const poke = createPoke()
  const log: string[] = []
  const ending = new AbortController()
  const polling = (async () => {
    while (!ending.signal.aborted) {
      log.push('begins')
      await sleep(10)
      log.push('ends')
      await poke.wait(3_600_000, ending.signal)
    }
  })()
  const stop = async () => {
    ending.abort()
    await polling
  }
  return { poke, log, stop }
}

it('starts a poll at once, and waits until the poll has ended', async () => {
  const { poke, log, stop } = startPolling()
  await sleep(50)
  expect(log).toEqual(['begins', 'ends'])
  await poke.wakeAndWait(10_000)
  expect(log).toEqual(['begins', 'ends', 'begins', 'ends'])
  await stop()
})

it('does not count a poll that began before the call', async () => {
  const { poke, log, stop } = startPolling()
  await poke.wakeAndWait(10_000)
  expect(log).toEqual(['begins', 'ends', 'begins', 'ends'])
  await stop()
})

it('resolves each of several calls after a poll of its own', async () => {
  const { poke, log, stop } = startPolling()
  await sleep(50)
  const first = poke.wakeAndWait(10_000)
  await sleep(1)
  const second = poke.wakeAndWait(10_000)
  const ends = () => log.filter(entry => entry === 'ends').length
  await first
  expect(ends()).toBe(2)
  await second
  expect(ends()).toBe(3)
  await stop()
})

it('does not wait for ever when nobody polls', async () => {
  await createPoke().wakeAndWait(1)
  await createPoke().wait(1, never)
})
