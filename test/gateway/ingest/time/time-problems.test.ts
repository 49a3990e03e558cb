import { expect, it } from 'vitest'
import { defaults } from '../../../../config/config.ts'
import {
  createTimeProblems,
  type TimeReport,
} from '../../../../gateway/ingest/time/time-problems.ts'
import { numbered } from '../../../contracts/accept.ts'
import { openWriterAccept } from '../../../contracts/writer-accept.ts'

const report = (device: string): TimeReport => ({
  ...{ kind: 'too early', value: '5', cure: 'c', site: 's', zone: 'z', device, topic: 't' },
})

it('counts each message, and reports each device once', () => {
  const problems = createTimeProblems(() => 0)
  for (const device of ['a', 'a', 'b']) problems.record(report(device))
  expect(problems.newReports().map(({ device }) => device)).toEqual(['a', 'b'])
  problems.record(report('a'))
  expect(problems.newReports()).toEqual([])
  expect(problems.counts()).toMatchObject({ 'too early': 4, 'too late': 0 })
})

it('reports ten devices a minute and a thousand in all, whatever devices are called', () => {
  let nowMs = 0
  const problems = createTimeProblems(() => nowMs)
  let reports = 0
  for (let minute = 0; minute < 200; minute++, nowMs += 60_000) {
    for (let device = 0; device < 20; device++) problems.record(report(`${minute}-${device}`))
    const fresh = problems.newReports().length
    expect(fresh).toBe(minute < 100 ? 10 : 0)
    reports += fresh
  }
  expect(reports).toBe(1000)
  expect(problems.counts()['too early']).toBe(4000)
})

it('come from the writer thread with the device', async () => {
  const reports: TimeReport[] = []
  const route = { ...defaults.ingest.routes[0]!, time: { field: 'ts', unit: 'ms' as const } }
  const ingest = { ...defaults.ingest, routes: [route] }
  const onCommitted = (_: object, __: number, fresh: TimeReport[]) => void reports.push(...fresh)
  await using rig = await openWriterAccept({ ingest, onCommitted })
  const message = numbered(1)
  const send = (ts: unknown) =>
    rig.accept({ ...message, payload: Buffer.from(JSON.stringify({ ts, v: 1 })) }, {})
  await send(null)
  expect(reports).toEqual([])
  await send(5)
  await send(6)
  expect(reports).toMatchObject([{ kind: 'too early', value: '5', topic: message.topic }])
  expect(rig.writer.status.timeProblems).toMatchObject({ 'too early': 2 })
  expect(rig.stored()).toEqual([1, 1, 1])
})
