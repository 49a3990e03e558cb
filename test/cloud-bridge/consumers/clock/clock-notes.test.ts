import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { listSeries } from '../../../../cloud-bridge/consumers/analytics/api/series-list.ts'
import { readTotals } from '../../../../cloud-bridge/consumers/analytics/api/totals.ts'
import { readWindows } from '../../../../cloud-bridge/consumers/analytics/api/windows.ts'
import { startClockNoteReader } from '../../../../cloud-bridge/consumers/clock/clock-notes.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import type { ConsumerState } from '../../../../cloud-bridge/consumers/state/state.ts'
import { createKafkaClient } from '../../../../cloud-bridge/kafka/configured-client.ts'
import type { OutgoingRecord } from '../../../../cloud-bridge/ports/event-sink.ts'
import {
  type ClockState,
  encodeEvent,
  type SensorReading,
} from '../../../../config/event/sensor-reading.ts'
import { createClockCorrections } from '../../../../gateway/ingest/clock-corrections.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import {
  describeWithKafka,
  freshTopic,
  openKafkaSink,
  readTopic,
  sharedKafka,
} from '../../../setup/kafka/kafka.ts'
import { apiContext, openAnalytics } from '../analytics/analytics-fixture.ts'

const MINUTE_MS = 60_000
const START = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 30 * MINUTE_MS
const dirs: string[] = []
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

/** Topics of one test, and a gateway whose wall clock is ahead of the true time. */
async function openStage() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-clock-'))
  dirs.push(dir)
  const [readings, ledger] = [
    await freshTopic(sharedKafka(), 1),
    await freshTopic(sharedKafka(), 1),
  ]
  const sink = await openKafkaSink(sharedKafka())
  const { stream } = await createKafkaClient(sharedKafka())
  const correctClock = createClockCorrections()
  let sequence = 0
  const send = (topic: string, values: Buffer[]) => {
    const record = (value: Buffer): OutgoingRecord => ({
      key: Buffer.from('k'),
      partition: 0,
      value,
    })
    return sink.send({ topic, records: values.map(record) })
  }
  return {
    ...{ dir, readings, ledger, stream },
    /** Receives a reading at a true time; returns a function that sends the clock notes. */
    async receive(clock: ClockState, trueMs: number, aheadMs: number, device: string) {
      sequence++
      const number = { flag: null, text: null, unit: null, number: 1 }
      const event: SensorReading = {
        ...goldenEvent,
        ...{ sequence, zoneSequence: sequence, zone: 'z', device, clock },
        ...{ observedAt: null, receivedAt: trueMs + aheadMs },
        measurements: [{ metric: 'm', ...number }],
      }
      await send(readings, [encodeEvent(event)])
      // As in the gateway's writer: the wall clock minus the monotonic clock.
      const corrections = correctClock(clock, aheadMs + START, { from: sequence, to: sequence })
      const { gateway, epoch } = event
      const facts = { gateway, store: 'aa', origin: 'outbox', sequence: 1, at: 1, kind: 'clock' }
      return () =>
        send(
          ledger,
          corrections.map(correction =>
            Buffer.from(JSON.stringify({ ...facts, content: { epoch, ...correction } })),
          ),
        )
    },
    /** Opens the state, processes all records and ends; clock notes are read at the start. */
    async consume(clockWaitMs?: number) {
      await using store = openSqliteStates(dir)
      await using state = await store.open('analytics')
      const ending = new AbortController()
      const onUnavailable = () => {}
      const { signal } = ending
      const clockOffsets = await startClockNoteReader({
        stream,
        topic: ledger,
        signal,
        onUnavailable,
      })
      const wait = clockWaitMs === undefined ? {} : { clockWaitMs }
      const { work } = await openAnalytics({ state, topic: readings, clockOffsets, ...wait })
      const [records] = await readTopic(sharedKafka(), readings)
      const from = work.nextOffsets.get(readings) ?? 0
      await work.processRecords(
        readings,
        records!.filter(({ offset }) => offset >= from),
        signal,
      )
      ending.abort()
      return { minutes: await minutesIn(state), held: (await readTotals(state, apiContext)).held }
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  }
}

/** The devices' windows of a minute, counted from START, with the count of values. */
async function minutesIn(state: ConsumerState): Promise<string[]> {
  const found: string[] = []
  for await (const listed of listSeries(state, {}, null, apiContext.calendars)) {
    const all = { size: '1m', from: 0, to: Number.MAX_SAFE_INTEGER, calendar: null } as const
    for await (const { start, aggregate } of readWindows(listed, all, apiContext)) {
      // A value also counts in the minutes after it.
      if (aggregate.count === 0) continue
      found.push(`${listed.name.device} ${(start - START) / MINUTE_MS}: ${aggregate.count}`)
    }
  }
  return found
}

const YEAR_MS = 365 * 86_400_000

describeWithKafka('readings of a gateway without a trusted clock', () => {
  it('wait for its clock note through a restart, and count in the right windows only', async () => {
    await using stage = await openStage()
    await stage.receive('UNSYNCED', START, -50 * YEAR_MS, 'a')
    await stage.receive('UNSYNCED', START + MINUTE_MS, -50 * YEAR_MS, 'a')
    // The clock was set slightly wrong before it was set right.
    await stage.receive('UNSYNCED', START + 2 * MINUTE_MS, 10 * MINUTE_MS, 'b')
    // Then the clock was set right without synchronisation.
    await stage.receive('UNSYNCED', START + 3 * MINUTE_MS, 0, 'b')
    expect(await stage.consume()).toEqual({ minutes: [], held: 4 })
    // Kafka's append time confirms this reading, but not the earlier ones.
    const nowMs = Date.now()
    await stage.receive('UNSYNCED', nowMs, 0, 'a')
    const now = `a ${Math.floor((nowMs - START) / MINUTE_MS)}: 1`
    expect(await stage.consume()).toEqual({ minutes: [now], held: 4 })
    const sendNote = await stage.receive('SYNCED', START + 4 * MINUTE_MS, 0, 'c')
    expect(await stage.consume()).toEqual({ minutes: [now, 'c 4: 1'], held: 4 })
    await sendNote()
    await stage.receive('SYNCED', START + 5 * MINUTE_MS, 0, 'c')
    const minutes = ['a 0: 1', 'a 1: 1', now, 'b 2: 1', 'b 3: 1', 'c 4: 1', 'c 5: 1']
    expect(await stage.consume()).toEqual({ minutes, held: 0 })
    // After a duplicate of the note the readings count only once.
    await sendNote()
    await stage.receive('SYNCED', START + 5 * MINUTE_MS, 0, 'c')
    expect(await stage.consume()).toEqual({ minutes: [...minutes.slice(0, 6), 'c 5: 2'], held: 0 })
  })

  it('count at once if their clock note exists before', async () => {
    await using stage = await openStage()
    await stage.receive('UNSYNCED', START, -50 * YEAR_MS, 'a')
    await (await stage.receive('SYNCED', START + MINUTE_MS, 0, 'a'))()
    expect(await stage.consume()).toEqual({ minutes: ['a 0: 1', 'a 1: 1'], held: 0 })
  })

  it('count at their own time after the longest wait for a note', async () => {
    await using stage = await openStage()
    await stage.receive('UNSYNCED', START, 5 * MINUTE_MS, 'a')
    expect(await stage.consume(1)).toEqual({ minutes: [], held: 1 })
    await stage.receive('SYNCED', START + MINUTE_MS, 0, 'a')
    expect(await stage.consume(1)).toEqual({ minutes: ['a 1: 1', 'a 5: 1'], held: 0 })
  })

  it('are corrected by a later note, while the reader follows the ledger', async () => {
    await using stage = await openStage()
    const ending = new AbortController()
    const reasons: (string | null)[] = []
    const clockOffsets = await startClockNoteReader({
      ...{ stream: stage.stream, topic: stage.ledger, signal: ending.signal, pollEveryMs: 20 },
      onUnavailable: reason => reasons.push(reason),
    })
    const first = { ...goldenEvent, sequence: 1 }
    expect(clockOffsets.offsetOf(first)).toBeNull()
    await stage.receive('UNSYNCED', START, -YEAR_MS, 'a')
    await (await stage.receive('SYNCED', START, 0, 'a'))()
    await vi.waitFor(() => expect(clockOffsets.offsetOf(first)).toBe(YEAR_MS), 20_000)
    ending.abort()
    expect(reasons).toEqual([])
  })
})
