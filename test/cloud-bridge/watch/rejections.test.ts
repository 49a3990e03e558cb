import { expect, it } from 'vitest'
import { createRejections, type Rejection } from '../../../cloud-bridge/watch/rejections.ts'

const MINUTE_MS = 60_000
const tooLarge: Rejection = { topic: 'r', kind: 'event', reason: 'MESSAGE_TOO_LARGE' }

function start() {
  const at = { nowMs: 0, warnings: [] as string[] }
  const onWarning = (text: string) => at.warnings.push(text)
  return Object.assign(at, createRejections({ onWarning, nowMs: () => at.nowMs }))
}

it('an alarm names the topic, the count, the reason and the cure', () => {
  const at = start()
  expect(at.alarms()).toEqual([])
  at.add(tooLarge)
  at.nowMs = 1000
  at.add(tooLarge)
  at.add({ topic: 'l', kind: 'note', reason: 'INVALID_RECORD' })
  expect(at.alarms()).toEqual([
    'Kafka rejected 2 events for topic r from 1970-01-01T00:00:00.000Z to ' +
      '1970-01-01T00:00:01.000Z: MESSAGE_TOO_LARGE. Each becomes a dead letter. Raise ' +
      'max.message.bytes of topic r',
    'Kafka rejected 1 note for topic l at 1970-01-01T00:00:01.000Z: INVALID_RECORD. Kafka does ' +
      'not have these notes: heartbeats, explanations of gaps or dead letters. Compare the ' +
      "settings of topic l with ./sluice doctor, and see Kafka's log",
  ])
})

it('the log gets the first rejection, and then at most one line a minute', () => {
  const at = start()
  for (; at.nowMs < 2 * MINUTE_MS; at.nowMs += 1000) at.add(tooLarge)
  expect(at.warnings.map(text => /rejected \d+/.exec(text)![0])).toEqual([
    'rejected 1',
    'rejected 61',
  ])
})

it('an alarm ends an hour after the last rejection, and the count begins at zero again', () => {
  const at = start()
  at.add(tooLarge)
  at.nowMs = 60 * MINUTE_MS - 1
  expect(at.alarms()).toHaveLength(1)
  at.nowMs++
  expect(at.alarms()).toEqual([])
  at.add(tooLarge)
  expect(at.alarms()).toEqual([expect.stringContaining('rejected 1 event')])
})
