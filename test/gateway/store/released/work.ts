import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { createRejectionHandler } from '../../../../cloud-bridge/forward/delivery-context.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import type { resolveDeadLetters } from '../../../../gateway/ingest/dead-letter-retry.ts'
import type { openInbox } from '../../../../gateway/store/inbox.ts'
import type { openOutbox } from '../../../../gateway/store/outbox.ts'
import type { openEventSource } from '../../../../gateway/store/source/event-source.ts'

/** The parts of the program that the work below uses, under the names of today's program. */
export type Program = {
  openOutbox: typeof openOutbox
  openInbox: typeof openInbox
  openEventSource: typeof openEventSource
  resolveDeadLetters: typeof resolveDeadLetters
  createRejectionHandler: typeof createRejectionHandler
  createMeans(): unknown
  replayReason(fromMs: number, toMs: number): string
  /** Runs SQL on a file that nobody has open. */
  runSql(file: string, sql: string): void
  markDamaged(file: string, reason: string): void
}

/** A delivered event: the topic, and the number of partitions that its zone was hashed over. */
export type Delivery = { topic: string; partitions: number; sequence: number }

/** A zone in each of three partitions. */
const ZONES = ['zone 1', 'zone 7', 'zone 0']
const PARTITIONS = 3
const ALL = { maxEvents: 1000, maxBytes: 1e6 }
const ONE_GROUP = { maxEvents: 1, maxBytes: 1 }
const START_MS = 1_700_000_000_000

const readingOf = (zone: string, number: number) =>
  ({
    ...{ site: 'hq', zone, device: 'd1', observedAt: null, clock: 'SYNCED' },
    receivedAt: START_MS + number,
    measurements: [{ metric: 'n', number, flag: null, text: null, unit: null }],
    source: { topic: `building/hq/zone/${zone}/sensor/d1`, format: 'json' },
    traceparent: null,
  }) as unknown as SensorReading

type Outbox = ReturnType<Program['openOutbox']>
type Source = ReturnType<Program['openEventSource']>

/** Stores groups of one event of each zone. */
function commitGroups(outbox: Outbox, groups: number): void {
  for (let group = 0; group < groups; group++) {
    const readings = ZONES.map((zone, at) => readingOf(zone, group * ZONES.length + at))
    outbox.commit({ readings })
  }
}

/** Delivers one batch; returns what was delivered, null when nothing was left. */
export function deliver(
  from: Pick<Source, 'readBatch' | 'advance'>,
  limits = ALL,
): Delivery[] | null {
  const batch = from.readBatch(limits)
  if (!batch) return null
  from.advance(batch)
  const { topic, partitions } = batch.range
  return batch.events.map(({ sequence }) => ({ topic, partitions, sequence }))
}

function openBoth(program: Program, dir: string) {
  const [outboxFile, inboxFile] = [join(dir, 'outbox.db'), join(dir, 'inbox.db')]
  const openOutbox = (gateway = 'gw') =>
    program.openOutbox({ file: outboxFile, gateway, inboxFile })
  const outbox = openOutbox()
  const inbox = program.openInbox({ file: inboxFile, settleMs: 1e6 })
  const source = program.openEventSource({ outboxFile, inbox })
  source.refresh()
  return { outboxFile, inboxFile, openOutbox, outbox, inbox, source }
}

/**
 * Leaves undelivered readings in every kind of range: a backlog from 10 to 12, an isolated
 * partition from 17, the other partitions from 25, and two replays. `leave` is called while the
 * files are open, in the state that a kill leaves.
 */
export function fillRanges(program: Program, dir: string, leave: () => void): Delivery[] {
  const { inbox, source, openOutbox, ...first } = openBoth(program, dir)
  let { outbox } = first
  const delivered: Delivery[] = []
  const record = (some: Delivery[] | null) => delivered.push(...some!)
  commitGroups(outbox, 4)
  source.ensureLiveRange('readings', PARTITIONS)
  record(deliver(source, { maxEvents: 6, maxBytes: 1e6 }))
  source.plan.splitBacklog('backfill')
  commitGroups(outbox, 3)
  record(deliver(source.backfill, ONE_GROUP))
  const batch = source.readBatch(ALL)!
  const { id } = source.plan.isolate(batch, [1])
  const accepted = batch.events.filter(({ zone }) => zone !== ZONES[1])
  record(accepted.map(({ sequence }) => ({ topic: 'readings', partitions: 3, sequence })))
  outbox.close()
  outbox = openOutbox()
  commitGroups(outbox, 2)
  record(deliver(source, ONE_GROUP))
  record(deliver(source.isolated(id), ONE_GROUP))
  source.plan.recordContact(outbox.store)
  const replay = { topic: 'backfill', partitions: PARTITIONS }
  const reason = program.replayReason(START_MS, START_MS + 60_000)
  source.addReplay({ ...replay, next: 1, end: 6, zones: null, reason } as never)
  const zones = JSON.stringify([ZONES[2]])
  source.addReplay({ ...replay, next: 1, end: 9, zones, reason } as never)
  inbox.flush()
  leave()
  source.close()
  inbox.close()
  outbox.close()
  return delivered
}

/** Leaves undelivered readings before and after a change of the partition count. */
export function fillPartitionChange(program: Program, dir: string, leave: () => void): Delivery[] {
  const { outbox, inbox, source } = openBoth(program, dir)
  commitGroups(outbox, 2)
  source.ensureLiveRange('readings', PARTITIONS)
  const delivered = deliver(source, ONE_GROUP)!
  source.plan.changePartitions(12)
  commitGroups(outbox, 1)
  inbox.flush()
  leave()
  source.close()
  inbox.close()
  outbox.close()
  return delivered
}

/** A stored note: the file that contains it, its kind, and its body as text. */
export type StoredNote = { file: 'outbox' | 'inbox'; kind: string; body: string }

/**
 * Has the program write notes of nearly every kind, in a fixed order, and returns them. Ids and
 * epochs, which are random, are replaced by names. The time in the name of a file is replaced, too.
 */
export function writeNotes(program: Program, dir: string, read: ReadNotes): StoredNote[] {
  const { outboxFile, inboxFile, openOutbox, source, inbox, ...first } = openBoth(program, dir)
  let { outbox } = first
  const names = new Map([[outbox.store.toString('hex'), 'STORE']])
  const nameEpoch = () => names.set(String(outbox.epoch), `EPOCH ${names.size}`)
  nameEpoch()

  // The gateway's own notes.
  const letter = {
    reason: 'no JSON',
    place: '4',
    topic: 'a/b',
    payload: Buffer.from('00ff80', 'hex'),
  }
  const deadLetters = [{ ...letter, clock: 'SYNCED' as const }, letter, letter]
  outbox.commit({ deadLetters: deadLetters.map(deadLetter => ({ at: START_MS, deadLetter })) })
  const big = { ...letter, payload: Buffer.alloc(3000, 7) }
  outbox.commit({ deadLetters: [{ at: START_MS, deadLetter: big }] })
  const times = { nowMs: START_MS, maxBytes: 1e6 }
  const fate = () => ({ reading: readingOf(ZONES[0]!, 0) }) as never
  program.resolveDeadLetters(outbox, { action: 'retry', numbers: [2] }, fate, times)
  program.resolveDeadLetters(outbox, { action: 'drop', numbers: [3] }, fate, times)
  commitGroups(outbox, 12)
  const bound = outbox.deadLetterBytes
  bound.advanceTo(1)
  while (bound.dropPayloads(0));
  outbox.writeZoneHeads()
  outbox.pruning.drop({ sequence: 2, to: 4 }, null, 'a bound')
  outbox.thinner.thin([5, 8], new Set([5, 10]), {
    ...{ means: program.createMeans() as never, isLast: true, reason: 'thin' },
  })

  // The bridge's notes: jumps, deferred ranges, partitions, unreadable and missing events.
  source.ensureLiveRange('readings', PARTITIONS)
  deliver(source, ONE_GROUP)
  source.plan.splitBacklog('backfill')
  commitGroups(outbox, 1)
  const { id } = source.plan.isolate(source.readBatch(ALL)!, [1, 2])
  source.plan.recordContact(outbox.store)
  while (deliver(source.isolated(id)));
  source.plan.mergeIsolated(source.plan.isolated[0]!)
  commitGroups(outbox, 1)
  source.plan.isolate(source.readBatch(ALL)!, [0])
  source.plan.deferIsolated(source.plan.isolated[0]!, 'backfill')
  while (deliver(source.backfill));
  commitGroups(outbox, 1)
  source.plan.changePartitions(12)
  while (deliver(source));
  commitGroups(outbox, 4)
  const batch = source.readBatch(ONE_GROUP)!
  program.createRejectionHandler({
    inbox,
    metrics: { rejected() {} },
    rejections: { add() {} },
  } as never)(...([batch.events[0]!, 'MESSAGE_TOO_LARGE', batch] as const))
  source.advance(batch)
  const last = outbox.lastSequence
  outbox.close()
  program.runSql(
    outboxFile,
    `UPDATE groups SET body = x'00' WHERE sequence = ${last - 8};
     DELETE FROM groups WHERE sequence = ${last - 5}`,
  )
  const reason = program.replayReason(START_MS, START_MS + 60_000)
  const rest = { topic: 'backfill', partitions: 3, zones: null, reason }
  source.addReplay({ ...rest, next: last - 8, end: last - 3 } as never)
  while (deliver(source.backfill));
  while (deliver(source));

  // The notes after the gateway was renamed, then after a file was damaged, then after a file was
  // lost.
  outbox = openOutbox('gw 2')
  nameEpoch()
  outbox.close()
  program.runSql(outboxFile, `DELETE FROM groups WHERE sequence = ${last - 14}`)
  program.markDamaged(outboxFile, 'a test')
  outbox = openOutbox('gw 2')
  nameEpoch()
  outbox.close()
  const copy = readFileSync(outboxFile)
  outbox = openOutbox('gw 2')
  nameEpoch()
  commitGroups(outbox, 1)
  outbox.close()
  writeFileSync(outboxFile, copy)
  outbox = openOutbox('gw 2')
  nameEpoch()
  outbox.close()
  names.set(inbox.id.toString('hex'), 'INBOX')
  source.close()
  inbox.close()

  const named = ({ body, ...note }: StoredNote): StoredNote => {
    let text = body.replace(/damaged-\d{8}T\d{9}Z/, 'damaged-TIME')
    // The bytes of an event contain its random epoch, so they are replaced, too.
    text = text.replace(/"place":"kafka","payload":"[^"]+"/, '"place":"kafka","payload":"EVENT"')
    for (const [value, name] of names) text = text.replaceAll(value, name)
    return { ...note, body: text }
  }
  return [...read(outboxFile, 'outbox'), ...read(inboxFile, 'inbox')].map(named)
}

/** Reads the notes of a closed file as they are stored. */
export type ReadNotes = (file: string, name: StoredNote['file']) => StoredNote[]
