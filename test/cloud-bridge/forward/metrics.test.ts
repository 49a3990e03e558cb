import { expect, it } from 'vitest'
import { createBridgeMetrics } from '../../../cloud-bridge/forward/metrics.ts'
import { createFlows } from '../../../cloud-bridge/retry/flow-status.ts'
import type { HotZone } from '../../../cloud-bridge/zones/hot-zones.ts'
import { record } from '../../contracts/event-sink.ts'

it('counts delivered events by partition, and reads the gauges at each scrape', async () => {
  let hotZones: HotZone[] = []
  let backlog = { events: 0, bytes: 0, oldestAgeMs: 0 }
  const flows = createFlows({ firstMs: 1, maxMs: 1, stableMs: 1000 })
  const metrics = createBridgeMetrics({
    backlog: () => backlog,
    hotZones: () => hotZones,
    flows: () => flows.states,
  })
  metrics.delivered({ topic: 't', records: [record(0, 'a'), record(2, 'b'), record(0, 'c')] })
  metrics.delivered({ topic: 't', records: [record(2, 'd')] })
  metrics.retried()
  metrics.rejected()
  metrics.notesDelivered(3)
  backlog = { events: 7, bytes: 70, oldestAgeMs: 1500 }
  expect(metrics.totals).toEqual({ delivered: 4, replayed: 0, retries: 1, rejected: 1, notes: 3 })
  expect(metrics.perPartition).toEqual({ 0: 2, 2: 2 })
  const lines = (await metrics.text()).split('\n')
  for (const line of [
    'sluice_delivered_total{topic="t",partition="0"} 2',
    'sluice_delivered_total{topic="t",partition="2"} 2',
    'sluice_retries_total 1',
    'sluice_rejected_total 1',
    'sluice_notes_delivered_total 3',
    'sluice_waiting_events 7',
    'sluice_waiting_bytes 70',
    'sluice_waiting_oldest_seconds 1.5',
  ]) {
    expect(lines).toContain(line)
  }
  const circuits = async () =>
    (await metrics.text()).split('\n').filter(line => line.startsWith('sluice_circuit'))
  expect(await circuits()).toEqual([])
  const [events, isolated] = [flows.add('events'), flows.add('partition 3')]
  isolated.circuit.failed()
  isolated.circuit.failed()
  expect(await circuits()).toEqual([
    'sluice_circuit_state{flow="events"} 0',
    'sluice_circuit_state{flow="partition 3"} 2',
    'sluice_circuit_failures{flow="events"} 0',
    'sluice_circuit_failures{flow="partition 3"} 2',
  ])
  isolated.circuit.probe()
  expect(await circuits()).toContain('sluice_circuit_state{flow="partition 3"} 1')
  isolated.remove()
  events.circuit.succeeded()
  expect(await circuits()).toEqual([
    'sluice_circuit_state{flow="events"} 0',
    'sluice_circuit_failures{flow="events"} 0',
  ])
  const shares = async () =>
    (await metrics.text()).split('\n').filter(line => line.startsWith('sluice_zone_share'))
  expect(await shares()).toEqual([])
  const rest = { partitions: 12, eventsPerSecond: 60, cure: '' }
  hotZones = [{ zone: 'z"7', eventsShare: 0.5, bytesShare: 0.25, ...rest }]
  expect(await shares()).toEqual([
    'sluice_zone_share{zone="z\\"7",of="events"} 0.5',
    'sluice_zone_share{zone="z\\"7",of="bytes"} 0.25',
  ])
  hotZones = []
  expect(await shares()).toEqual([])
})
