import { expect, it } from 'vitest'
import { notReadyReasons } from '../../../cloud-bridge/forward/status.ts'
import { createFlows, runningText, waitingText } from '../../../cloud-bridge/retry/flow-status.ts'

it('tells in sentences what waits and what goes', () => {
  expect(['events', 'partition 3', 'partitions 3, 4', 'backfill'].map(waitingText)).toEqual([
    ...['events wait', 'partition 3 waits', 'partitions 3, 4 wait', 'backfill waits'],
  ])
  expect(runningText('partition 3')).toBe('partition 3 goes to Kafka')
  expect(runningText('notes')).toBe('notes go to Kafka')
})

it('gives reasons of what is late, and none of what was delivered before', () => {
  const flows = createFlows({ firstMs: 1, maxMs: 1, stableMs: 1 })
  const apart = flows.begin('partition 3')
  apart.unavailable('NOT_ENOUGH_REPLICAS')
  flows.begin('behind').unavailable('no such topic')
  const ranges = [{ reason: 'replay of yesterday' }]
  const source = { backlog: () => ({ events: 0 }), damaged: null, ranges }
  const reasons = () => notReadyReasons({ source: source as never, kafka: flows.states })
  expect(reasons()).toEqual(['partition 3 waits: NOT_ENOUGH_REPLICAS'])
  apart.remove()
  expect(reasons()).toEqual([])
  ranges.push({ reason: 'backlog since note 1 from 1 to 9' })
  expect(reasons()).toEqual(['behind waits: no such topic'])
})
