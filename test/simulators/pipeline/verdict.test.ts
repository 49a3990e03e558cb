import { describe, expect, it } from 'vitest'
import { createEventIds } from '../../../config/event/event-id.ts'
import { encodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { createPublishRecord } from '../../../simulators/devices/record.ts'
import { createJudge } from '../../../simulators/pipeline/verdict.ts'

const idOf = createEventIds('gw', 7)

/** The Kafka record of message `number`, of device 0 in zone z, with this sequence. */
function inKafka(number: number, sequence: number, more: Partial<SensorReading> = {}) {
  const measurement = { flag: null, unit: null }
  const event: SensorReading = {
    ...{ id: idOf(sequence), gateway: 'gw', epoch: 7, sequence, zoneSequence: sequence },
    ...{ site: 's', zone: 'z', device: 'd', observedAt: null, receivedAt: 1, clock: 'SYNCED' },
    measurements: [
      { ...measurement, metric: 'simulated_run', text: 'run', number: null },
      { ...measurement, metric: 'simulated_number', text: null, number },
    ],
    source: { topic: 't', format: 'json' },
    traceparent: null,
    ...more,
  }
  return {
    partition: 0,
    offset: 0,
    appendTimeMs: 0,
    headers: {},
    key: Buffer.from('z'),
    value: encodeEvent(event),
  }
}

/** Judges a run of three acknowledged messages by the given records of Kafka. */
function judge(
  records: (ReturnType<typeof inKafka> & { topic?: string })[],
  resent: number[] = [],
  scheduled = 3,
  qos: 1 | 2 = 1,
) {
  const record = createPublishRecord(1)
  for (let number = 0; number < 3; number++) {
    record.publish(number, 0)
    record.acknowledge(number)
  }
  for (const number of resent) record.resend(number)
  const runJudge = createJudge(record, 'run', qos)
  for (const kafkaRecord of records) runJudge.add(kafkaRecord, kafkaRecord.topic ?? 'readings')
  return runJudge.conclude({ scheduled, stored: 3, deadLetters: 0 })
}

const all = [inKafka(0, 1), inKafka(1, 2), inKafka(2, 3)]

describe('the verdict', () => {
  it('is complete when every acknowledged message is there, once and in order', () => {
    expect(judge(all)).toEqual({
      ...{ scheduled: 3, acknowledged: 3, stored: 3, buried: 0, delivered: 3, missing: 0 },
      ...{ duplicates: 0, rawDuplicates: 0, resent: 0, inversions: 0, verdict: 'complete' },
    })
  })

  it('requires a share of the scheduled messages, by default or as given', () => {
    const record = createPublishRecord(1)
    record.publish(0, 0)
    const newJudge = () => createJudge(record, 'run')
    const counts = { scheduled: 3, stored: 0, deadLetters: 0, minShare: 0 }
    expect(newJudge().conclude(counts).verdict).toBe('incomplete: nothing was acknowledged')
    record.acknowledge(0)
    expect(judge(all, [], 10).verdict).toBe('incomplete: only 3 of 10 acknowledged')
    expect(newJudge().conclude(counts).verdict).toBe('incomplete: 1 acknowledged and missing')
  })

  it('counts the same event sent twice as one', () => {
    expect(judge([...all, all[1]!, all[2]!])).toMatchObject({
      ...{ delivered: 3, rawDuplicates: 2, duplicates: 0, inversions: 0, verdict: 'complete' },
    })
  })

  it('checks the order within each topic: a backfill after newer events is in order', () => {
    const backfill = all.slice(0, 2).map(record => ({ ...record, topic: 'backfill' }))
    expect(judge([all[2]!, ...backfill]).verdict).toBe('complete')
    expect(judge([all[2]!, ...backfill.reverse()]).verdict).toMatch(/out of order/)
  })

  it('counts a message that its device resent as two events', () => {
    const resent = [...all, inKafka(1, 4)]
    expect(judge(resent, [1])).toMatchObject({ resent: 1, duplicates: 0, verdict: 'complete' })
    expect(judge(resent, [1], 3, 2)).toMatchObject({ resent: 1, duplicates: 1 })
    expect(judge(resent)).toMatchObject({ duplicates: 1, verdict: expect.stringMatching(/twice/) })
  })

  it.each([
    ['an acknowledged message is missing', [all[0]!, all[1]!], /1 acknowledged and missing/],
    ['a zone is out of order', [all[0]!, all[2]!, all[1]!], /out of order/],
    ['a device is out of order', [inKafka(1, 1), inKafka(0, 2), inKafka(2, 3)], /out of order/],
    ['a zone sequence has a hole', [all[0]!, all[1]!, inKafka(2, 4)], /1 holes/],
    [
      'a zone is in two partitions',
      [...all.slice(0, 2), { ...all[2]!, partition: 1 }],
      /partition/,
    ],
    ['a key is not the zone', [...all.slice(0, 2), { ...all[2]!, key: Buffer.from('y') }], /key/],
    ['no device sent a message', [...all, inKafka(9, 4)], /no device sent/],
  ])('is incomplete when %s', (_, records, reason) => {
    expect(judge(records).verdict).toMatch(/^incomplete/)
    expect(judge(records).verdict).toMatch(reason)
  })

  it('is incomplete when too few scheduled messages were acknowledged', () => {
    expect(judge(all, [], 4).verdict).toBe('incomplete: only 3 of 4 acknowledged')
  })

  it('ignores the messages of other runs', () => {
    const other = { metric: 'simulated_run', text: 'other', number: null, flag: null, unit: null }
    expect(judge([...all, inKafka(5, 4, { measurements: [other] })]).delivered).toBe(3)
  })
})
