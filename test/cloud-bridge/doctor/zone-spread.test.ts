import { expect, it } from 'vitest'
import { topicFindings } from '../../../cloud-bridge/doctor/topics.ts'

const topics = { readings: 'r', backfill: 'b', deadletters: 'd', ledger: 'l' }
const largest = { event: 0, note: 0, deadLetter: 0 }
const limits = { payloadMaxBytes: 1, packetMaxBytes: 1, largest, lagMs: 0 }
const settings = (partitions: number) =>
  ({ partitions, replicas: 3, config: 'not allowed' }) as const

/** The doctor's faults when the readings and the backfill topic have these partition counts. */
function faults(spreadOver: number | null, readings: number, backfill: number): string[] {
  const expected = { topics, ...limits, partitions: null, spreadOver }
  const others = { deadletters: settings(1), ledger: settings(1) }
  return topicFindings(expected, {
    readings: settings(readings),
    backfill: settings(backfill),
    ...others,
  })
    .filter(({ status }) => status === 'fault')
    .map(({ subject, value }) => `${subject}: ${value}`)
}

it('the doctor compares topics with how zones are spread, not with the current partitions', () => {
  // More partitions of the readings topic change nothing until zones are moved.
  expect(faults(6, 12, 6)).toEqual([])
  expect(faults(null, 12, 6)).toEqual(['topic b: 6 partitions, but readings are spread over 12'])
  expect(faults(6, 4, 6)).toEqual(['topic r: 4 partitions, but zones are spread over 6'])
})
