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
import { HOLD_MAX_MS, openAnalytics } from '../analytics/analytics-fixture.ts'

const MINUTE_MS = 60_000
const START = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 30 * MINUTE_MS
const dirs: string[] = []
afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

/** Topics of their own, with a gateway whose clock on the wall is `aheadMs` ahead of the truth. */
async function stage() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-clock-'))
  dirs.push(dir)
  const [readings, ledger] = [
    await freshTopic(sharedKafka(), 1),
    await freshTopic(sharedKafka(), 1),
  ]
  const sink = await openKafkaSink(sharedKafka())
  const { stream } = await createKafkaClient(sharedKafka())
  const retime = createClockCorrections()
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
    /** Receives a reading at a true moment; gives what sends the gateway's word on its clock. */
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
      // As the gateway's writer has it: the clock on the wall less the one that only runs on.
      const told = retime(clock, aheadMs + START, { from: sequence, to: sequence })
      const { gateway, epoch } = event
      const facts = { gateway, store: 'aa', origin: 'outbox', sequence: 1, at: 1, kind: 'clock' }
      return () =>
        send(
          ledger,
          told.map(one => Buffer.from(JSON.stringify({ ...facts, content: { epoch, ...one } }))),
        )
    },
    /** Begins on the state as it is, reads all there is, and ends; clocks are read at its start. */
    async consume(clockWaitMs?: number) {
      await using store = openSqliteStates(dir)
      await using state = await store.open('analytics')
      const ending = new AbortController()
      const onAway = () => {}
      const { signal } = ending
      const clockOffsets = await startClockNoteReader({
        stream,
        topic: ledger,
        signal,
        onUnavailable: onAway,
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
      return { minutes: await minutesIn(state), held: (await readTotals(state, HOLD_MAX_MS)).held }
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  }
}

/** The minutes in which devices have values, from START on, with how many. */
async function minutesIn(state: ConsumerState): Promise<string[]> {
  const found: string[] = []
  for await (const listed of listSeries(state, {}, null)) {
    const all = { size: '1m', from: 0, to: Number.MAX_SAFE_INTEGER } as const
    for (const { start, aggregate } of await readWindows(listed, all, 1000, HOLD_MAX_MS)) {
      found.push(`${listed.name.device} ${(start - START) / MINUTE_MS}: ${aggregate.count}`)
    }
  }
  return found
}

const YEAR_MS = 365 * 86_400_000

describeWithKafka('readings of a gateway without a clock', () => {
  it('wait through a restart for its clock note, and land in the right windows and nowhere else', async () => {
    await using place = await stage()
    await place.receive('UNSYNCED', START, -50 * YEAR_MS, 'a')
    await place.receive('UNSYNCED', START + MINUTE_MS, -50 * YEAR_MS, 'a')
    // It was set a little wrong before it was set right.
    await place.receive('UNSYNCED', START + 2 * MINUTE_MS, 10 * MINUTE_MS, 'b')
    // And right, which nobody knew.
    await place.receive('UNSYNCED', START + 3 * MINUTE_MS, 0, 'b')
    expect(await place.consume()).toEqual({ minutes: [], held: 4 })
    // Kafka's own time bears this one out, but says nothing of those before it.
    const nowMs = Date.now()
    await place.receive('UNSYNCED', nowMs, 0, 'a')
    const now = `a ${Math.floor((nowMs - START) / MINUTE_MS)}: 1`
    expect(await place.consume()).toEqual({ minutes: [now], held: 4 })
    const tell = await place.receive('SYNCED', START + 4 * MINUTE_MS, 0, 'c')
    expect(await place.consume()).toEqual({ minutes: [now, 'c 4: 1'], held: 4 })
    await tell()
    await place.receive('SYNCED', START + 5 * MINUTE_MS, 0, 'c')
    const minutes = ['a 0: 1', 'a 1: 1', now, 'b 2: 1', 'b 3: 1', 'c 4: 1', 'c 5: 1']
    expect(await place.consume()).toEqual({ minutes, held: 0 })
    // Told again, they count no more than once.
    await tell()
    await place.receive('SYNCED', START + 5 * MINUTE_MS, 0, 'c')
    expect(await place.consume()).toEqual({ minutes: [...minutes.slice(0, 6), 'c 5: 2'], held: 0 })
  })

  it('whose note is there before them count at once', async () => {
    await using place = await stage()
    await place.receive('UNSYNCED', START, -50 * YEAR_MS, 'a')
    await (await place.receive('SYNCED', START + MINUTE_MS, 0, 'a'))()
    expect(await place.consume()).toEqual({ minutes: ['a 0: 1', 'a 1: 1'], held: 0 })
  })

  it('count at the time that they have when nothing was said for long enough', async () => {
    await using place = await stage()
    await place.receive('UNSYNCED', START, 5 * MINUTE_MS, 'a')
    expect(await place.consume(1)).toEqual({ minutes: [], held: 1 })
    await place.receive('SYNCED', START + MINUTE_MS, 0, 'a')
    expect(await place.consume(1)).toEqual({ minutes: ['a 1: 1', 'a 5: 1'], held: 0 })
  })

  it('are corrected by what is said later, while the ledger is read on', async () => {
    await using place = await stage()
    const ending = new AbortController()
    const away: (string | null)[] = []
    const clockOffsets = await startClockNoteReader({
      ...{ stream: place.stream, topic: place.ledger, signal: ending.signal, pollEveryMs: 20 },
      onUnavailable: reason => away.push(reason),
    })
    const first = { ...goldenEvent, sequence: 1 }
    expect(clockOffsets.offsetOf(first)).toBeNull()
    await place.receive('UNSYNCED', START, -YEAR_MS, 'a')
    await (await place.receive('SYNCED', START, 0, 'a'))()
    await vi.waitFor(() => expect(clockOffsets.offsetOf(first)).toBe(YEAR_MS), 20_000)
    ending.abort()
    expect(away).toEqual([])
  })
})
