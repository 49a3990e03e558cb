import { describe, expect, it } from 'vitest'
import { createFrame } from '../../../simulators/local/display.ts'
import {
  drawScreen as drawWithHeadings,
  formatBytes,
  formatDuration,
  type ScreenState,
} from '../../../simulators/local/screen.ts'

const headings = { gateway: 'MQTT a:1', bridge: 'to b:2' }
const drawScreen = (now: ScreenState, before: ScreenState | null) =>
  drawWithHeadings(now, before, headings)

const backlog = { events: 1234, bytes: 56_789, oldestAgeMs: 2500 }
const space = {
  ...{ fileBytes: 3_000_000, usedBytes: 2_000_000, keptBytes: 1_500_000, freeDiskBytes: 9e9 },
  ...{ fullInMs: null, refuses: null, acceptsAtFreeBytes: null },
}
const wear = {
  ...{ writtenBytes: 1e9, perDayBytes: null, perReadingBytes: null },
  ...{ commitWindowMs: 20, beyondBudget: null },
}
const gateway = {
  ...{
    part: 'gateway' as const,
    pid: 1,
    gateway: 'gw',
    store: '',
    outbox: '/card/outbox.db',
    epoch: 1,
    lastSequence: 1,
    bytesSoFar: 1,
    connections: 20,
  },
  ...{ acknowledged: 1000, stored: 1000, buried: 3, repeated: 0, refused: 0, backlog, space, wear },
}
const bridge = {
  ...{
    part: 'bridge' as const,
    pid: 2,
    gateway: 'gw',
    store: '',
    kafka: { events: null, behind: null, notes: null } as Record<string, string | null>,
    circuits: {},
    backlog,
    ranges: [],
    hotZones: [],
    rejected: 0,
  },
  ...{
    completeUpTo: 0,
    perPartition: { 0: 400, 1: 500 },
    replayed: 0,
    delivered: 900,
    retries: 0,
    notes: 0,
  },
}

describe('the live screen', () => {
  it('shows rates between two moments, the undelivered events, and the events of each partition', () => {
    const before = { atMs: 0, gateway, bridge }
    const now = { atMs: 2000, gateway: { ...gateway, acknowledged: 2000 }, bridge }
    expect(drawScreen(now, before)).toEqual([
      'GATEWAY         MQTT a:1',
      'gateway         gw',
      'acknowledged    500/s   2,000 in all, 3 dead letters, 0 refused, 20 connections',
      'in the outbox   1,234 events, 56.8 KB, oldest 2.5 s',
      'on disk         2.0 MB used, 1.5 MB of it delivered and kept, 9.0 GB free',
      'BRIDGE          to b:2',
      'delivered       0/s   900 in all   p0 400  p1 500',
      'complete up to  1970-01-01T00:00:00.000Z',
    ])
  })

  it('shows when the disk will be full, and that nothing is accepted', () => {
    const full = { ...space, fullInMs: 31 * 3_600_000, refuses: 'a bound is reached' }
    const now = { atMs: 0, gateway: { ...gateway, space: full }, bridge }
    expect(drawScreen(now, null)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^on disk .*, full in 31 h at this rate$/),
        'refuses         a bound is reached',
      ]),
    )
  })

  it('shows replays', () => {
    const range = { id: 1, store: '', next: 5, end: 9, topic: 'b', partitions: 3, zones: null }
    const kinds = ['live', 'replay', 'replay'] as const
    const ranges = kinds.map(kind => ({ ...range, kind, reason: '' }))
    const now = { atMs: 0, gateway, bridge: { ...bridge, ranges } }
    expect(drawScreen(now, null)).toContain('replaying       #5 to #9, to b, and 1 more')
  })

  it('shows backlogs, a changed partition count and isolated partitions', () => {
    const range = { id: 1, store: '', next: 5, end: 9, topic: 'b', partitions: 3, zones: null }
    const apart = { ...range, end: null, kind: 'apart', reason: '' } as const
    const live = { ...range, kind: 'live', reason: '' } as const
    const backlog = { ...range, kind: 'backlog', reason: '' } as const
    const ranges = [
      live,
      { ...live, next: 10, end: null, partitions: 12 },
      { ...backlog, next: 3, end: 4 },
      { ...backlog, next: 1, end: 2 },
      { ...apart, zones: '{"only":[3]}' },
      { ...apart, zones: '{"only":[1,2]}', next: 7 },
    ]
    const kafka = {
      ...bridge.kafka,
      'partition 3': 'LEADER_NOT_AVAILABLE',
      'partitions 1, 2': null,
    }
    const lines = drawScreen({ atMs: 0, gateway, bridge: { ...bridge, ranges, kafka } }, null)
    expect(lines.slice(8)).toEqual([
      'moving          #5 to #9 over 3 partitions, then over 12',
      'draining        #1 to #2 beside live events, to b, and 1 more',
      'apart           partition 3: #5, LEADER_NOT_AVAILABLE',
      'apart           partitions 1, 2: #7, catching up',
    ])
    expect(drawScreen({ atMs: 0, gateway, bridge }, null).slice(8)).toEqual([])
  })

  it('shows bytes written to disk once they are known, and an exceeded budget', () => {
    const at = (more: object) =>
      drawScreen({ atMs: 0, gateway: { ...gateway, wear: { ...wear, ...more } }, bridge }, null)
    const known = { perDayBytes: 1.2e9, perReadingBytes: 590.4 }
    expect(at(known)[5]).toBe(
      'wear            1.2 GB a day to disk, 590 bytes a reading, a commit waits 20 ms',
    )
    expect(at({ ...known, perReadingBytes: null, beyondBudget: 'too much' }).slice(5, 7)).toEqual([
      'wear            1.2 GB a day to disk, a commit waits 20 ms',
      'over budget     too much',
    ])
    expect(at({}).join()).not.toContain('wear')
  })

  it('shows hot zones', () => {
    const hot = (zone: string, eventsShare: number) => {
      return { zone, eventsShare, bytesShare: 0.071, partitions: 12, eventsPerSecond: 60, cure: '' }
    }
    const at = (...hotZones: ReturnType<typeof hot>[]) =>
      drawScreen({ atMs: 0, gateway, bridge: { ...bridge, hotZones } }, null)
    const line = 'hot zone        z7: 62 % of events and 7.1 % of bytes'
    expect(at(hot('z7', 0.62))).toContain(`${line}; /health says what to do`)
    expect(at(hot('z7', 0.62), hot('z8', 0.2))).toContain(
      `${line}, and 1 more; /health says what to do`,
    )
    expect(at().join()).not.toContain('hot')
  })

  it('shows what does not answer', () => {
    const away = {
      ...bridge,
      completeUpTo: null,
      kafka: { events: 'no broker', behind: 'no backfill', notes: 'no topic' },
    }
    const lines = drawScreen({ atMs: 0, gateway: null, bridge: away }, null)
    expect(lines[1]).toBe('gateway         does not answer')
    expect(lines).toContain('complete up to  unknown')
    expect(lines).toContain('waiting for     no broker')
    expect(lines).toContain('backfill waits  no backfill')
    expect(lines).toContain('notes wait      no topic')
  })

  it('is drawn in place, cut to the terminal, and drawn afresh after a resize', () => {
    const written: string[] = []
    const screen = { columns: 6, rows: 4, write: (text: string) => written.push(text) > 0 }
    const frame = createFrame(screen)
    frame.draw(['a', '12345678', 'c', 'beyond the last row'])
    expect(written.pop()).toBe('a\n123456\nc\n')
    frame.draw(['d'])
    expect(written.pop()).toBe('\x1b[3A\r\x1b[0Jd\n')
    frame.putAbove('a line that stays')
    expect(written.pop()).toBe('\x1b[1A\r\x1b[0Ja line that stays\nd\n')
    screen.columns = 1
    frame.draw(['ef', 'g'])
    written.pop()
    frame.eraseAll()
    expect(written.pop()).toBe('\x1b[2J\x1b[3J\x1b[He\ng\n')
    frame.draw([])
    expect(written.pop()).toBe('\x1b[2A\r\x1b[0J')
  })

  it('formats bytes and durations for people', () => {
    expect([0, 999, 1000, 1_500_000].map(formatBytes)).toEqual(['0 B', '999 B', '1.0 KB', '1.5 MB'])
    const spans = [1500, 120_000, 7_200_000, 300_000_000].map(formatDuration)
    expect(spans).toEqual(['1.5 s', '2 min', '2 h', '3 days'])
  })
})
