import { expect, it } from 'vitest'
import { notReadyReasons } from '../../../cloud-bridge/forward/bridge-status.ts'
import {
  createFlows,
  type FlowStatus,
  runningText,
  waitingText,
  waitReason,
} from '../../../cloud-bridge/retry/flow-status.ts'

it('describes waiting and running flows in sentences', () => {
  expect(
    ['events', 'partition 3', 'partitions 3, 4', 'behind', 'backfill'].map(waitingText),
  ).toEqual([
    ...['events wait', 'partition 3 waits', 'partitions 3, 4 wait'],
    ...['backfill waits', 'backlog split waits'],
  ])
  expect(runningText('partition 3')).toBe('partition 3 goes to Kafka')
  expect(runningText('notes')).toBe('notes go to Kafka')
  expect(runningText('behind')).toBe('backfill goes to Kafka')
})

it('reports why late events wait, and not why a replay waits', () => {
  const flows = createFlows({ firstMs: 1, maxMs: 1, stableMs: 1 })
  const isolated = flows.add('partition 3')
  isolated.setWaiting('NOT_ENOUGH_REPLICAS')
  flows.add('behind').setWaiting('no such topic')
  const ranges = [{ kind: 'replay' }]
  const source = { backlog: () => ({ events: 0 }), damaged: null, ranges }
  const reasons = () => notReadyReasons({ source: source as never, flows: flows.states })
  expect(reasons()).toEqual(['partition 3 waits: NOT_ENOUGH_REPLICAS'])
  isolated.remove()
  expect(reasons()).toEqual([])
  ranges.push({ kind: 'backlog' })
  expect(reasons()).toEqual(['backfill waits: no such topic'])
})

it('reports a change when a flow starts or stops waiting, not when only the reason changes', () => {
  const changes: [name: string, flow: FlowStatus][] = []
  const flows = createFlows({ firstMs: 1, maxMs: 1, stableMs: 1 }, (...change) => {
    changes.push(change)
  })
  const events = flows.add('events')
  events.setRunning()
  events.setWaiting('no broker')
  events.setWaiting('no leader')
  expect(waitReason(flows.states.events)).toBe('no leader')
  events.setRunning()
  expect(waitReason(flows.states.events)).toBeNull()
  expect(waitReason(flows.states.notes)).toBeNull()
  expect(changes).toEqual([
    ['events', { status: 'waiting', reason: 'no broker' }],
    ['events', { status: 'running' }],
  ])
})
