import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createPoke } from '../../../cloud-bridge/forward/poke.ts'

const never = new AbortController().signal

/** Somebody who looks once an hour and takes a moment for it. */
function startLooking() {
  const nudge = createPoke()
  const log: string[] = []
  const ending = new AbortController()
  const looking = (async () => {
    while (!ending.signal.aborted) {
      log.push('begins')
      await sleep(10)
      log.push('ends')
      await nudge.rest(3_600_000, ending.signal)
    }
  })()
  const end = async () => {
    ending.abort()
    await looking
  }
  return { nudge, log, end }
}

it('has a look begin at once, and waits until it is over', async () => {
  const { nudge, log, end } = startLooking()
  await sleep(50)
  expect(log).toEqual(['begins', 'ends'])
  await nudge.look(10_000)
  expect(log).toEqual(['begins', 'ends', 'begins', 'ends'])
  await end()
})

it('does not take a look that had begun before for the one that was asked for', async () => {
  const { nudge, log, end } = startLooking()
  await nudge.look(10_000)
  expect(log).toEqual(['begins', 'ends', 'begins', 'ends'])
  await end()
})

it('tells several, and each only of a look of its own', async () => {
  const { nudge, log, end } = startLooking()
  await sleep(50)
  const first = nudge.look(10_000)
  await sleep(1)
  const second = nudge.look(10_000)
  const ends = () => log.filter(one => one === 'ends').length
  await first
  expect(ends()).toBe(2)
  await second
  expect(ends()).toBe(3)
  await end()
})

it('does not wait for ever when nobody looks', async () => {
  await createPoke().look(1)
  await createPoke().rest(1, never)
})
