import { expect, it } from 'vitest'
import { createUnusableReport } from '../../../../cloud-bridge/consumers/runtime/unusable-report.ts'
import { eventsOf, live, openListing, POISON, recordsOf, temporaryStates } from './fixture.ts'

it('a handler that throws is logged once a minute with stack and count, and raises an alarm', async () => {
  await using states = temporaryStates()
  await using state = await states.store.open('listing')
  const lines: Record<string, unknown>[] = []
  let nowMs = 0
  const report = createUnusableReport(
    { error: (line: object) => void lines.push({ ...line }) },
    () => nowMs,
  )
  const { add } = await openListing(state, { onUnusable: report.add })
  const poison = (from: number, count: number) =>
    recordsOf(
      eventsOf(
        Array.from({ length: count }, (_, at) => from + at),
        { device: POISON },
      ),
      from,
    )
  await add(live, poison(1, 99))
  expect(report.alarms()).toEqual([])
  nowMs = 60_000
  await add(live, poison(100, 1))
  const place = { topic: live, partition: 0, reason: 'cannot be processed' }
  expect(lines).toEqual([
    { ...place, count: 1, total: 1, offset: 1, stack: expect.stringMatching(/fixture\.ts/) },
    { ...place, count: 99, total: 100, offset: 100, stack: expect.stringMatching(/fixture\.ts/) },
  ])
  expect(report.alarms()).toEqual([
    expect.stringMatching(/^100 records became dead letters .* cannot be processed\. List them/),
  ])
  // A record that is no event has no stack.
  nowMs = 120_000
  await add(live, recordsOf([Buffer.from('no event')], 300))
  expect(lines.at(-1)).toMatchObject({ count: 1, total: 101, offset: 300, stack: undefined })
})
