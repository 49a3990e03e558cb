import { expect, it } from 'vitest'
import { topicFindings } from '../../../cloud-bridge/doctor/topics.ts'

const DAY_MS = 86_400_000
const topics = { readings: 'r', backfill: 'b', deadletters: 'd', ledger: 'l' }
const largest = { event: 0, note: 0, deadLetter: 0 }
const limits = { payloadMaxBytes: 1, packetMaxBytes: 1, largest, lagMs: 0 }

const keeping = (days: number | null) => {
  const kept = { retentionMs: days === null ? null : days * DAY_MS, retentionBytes: null }
  const rest = { timestampType: 'LogAppendTime', cleanupPolicy: 'delete', minInsyncReplicas: 2 }
  return { partitions: 1, replicas: 3, config: { ...kept, ...rest, maxMessageBytes: 1e9 } }
}

/** The doctor's warnings when Kafka keeps readings, backlogs and notes for so many days. */
function warnings(readings: number | null, backfill: number | null, ledger: number | null) {
  const expected = { topics, ...limits, partitions: null, spreadOver: null }
  return topicFindings(expected, {
    ...{ readings: keeping(readings), backfill: keeping(backfill) },
    ...{ deadletters: keeping(7), ledger: keeping(ledger) },
  }).flatMap(finding =>
    finding.status === 'ok' ? [] : [`${finding.subject}: ${finding.value}. ${finding.cure}`],
  )
}

it('the doctor warns when Kafka keeps the notes less long than the readings', () => {
  expect(warnings(7, 7, 7)).toEqual([])
  expect(warnings(7, 7, null)).toEqual([])
  const set = 'kafka-configs.sh --alter --entity-type topics --entity-name l --add-config'
  const kept = 'topic l: keeps notes for 7 days, but Kafka keeps readings'
  expect(warnings(7, 30, 7)).toEqual([`${kept} for 30 days. ${set} retention.ms=${30 * DAY_MS}`])
  expect(warnings(null, 7, 7)).toEqual([`${kept} without limit. ${set} retention.ms=-1`])
})
