import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../../config/config.ts'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import { keepHeapSmall } from '../../config/process/heap.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Backlog, OutboxSpace } from '../../config/process/status.ts'
import { openInboxReader } from '../store/delivery/inbox-reader.ts'
import { isDiskFull } from '../store/file/ballast.ts'
import {
  DamagedFileError,
  isDamage,
  markDamaged,
  readDamageReason,
} from '../store/file/damage-mark.ts'
import { type SetAsideFile, setAsideFilesOf } from '../store/file/damaged-files.ts'
import { type Outbox, openOutbox } from '../store/outbox.ts'
import type { RecoveryReport } from '../store/recovery/recovery.ts'
import { createRetention, type Retention } from '../store/retention/retention.ts'
import { type ClockCorrection, createClockCorrections } from './clock-corrections.ts'
import { type CommitCounts, commitHandovers } from './commit.ts'
import {
  type DeadLetterOutcome,
  type DeadLetterRequest,
  resolveDeadLetters,
} from './dead-letter-retry.ts'
import { createFateDecision } from './fate.ts'
import { unpackHandovers } from './handover-codec.ts'

/** Far less than what the write-ahead log takes before it begins again and forgets. */
const WEAR_LOOK_BYTES = 128 * 1024

type Commit = { packed: ArrayBuffer; count: number; clock: ClockState }
/** Work between commits: every second a tick, by schedule a look, and then step after step. */
type Tend = { isTick: boolean; isLook: boolean; clock: ClockState }

/** What the main thread sends; it waits for the answer before it sends again. */
export type WriterRequest = Commit | Tend | { letters: DeadLetterRequest } | 'close'

/**
 * Where the outbox stands: its last event, bytes ever stored, QoS 2 unreleased, what waits, and
 * what all of it takes. Since it was opened: bytes written to disk, dead letters that lost theirs.
 */
export type OutboxStatus = {
  lastSequence: number
  bytesSoFar: number
  qos2Unreleased: number
  backlog: Backlog
  space: OutboxSpace
  writtenBytes: number
  lettersLetGo: number
  /** Damaged files that are kept, as of the last tick. */
  asides: SetAsideFile[]
}

/** `full`: refused until there is room. `more`: there may be another step to make. */
export type WriterResponse =
  | {
      kind: 'opened'
      store: string
      epoch: number
      healed: RecoveryReport | null
      position: OutboxStatus
    }
  | { kind: 'cannot start'; reason: string; isTemporary: boolean }
  | { kind: 'committed'; tally: CommitCounts; commitMs: number; position: OutboxStatus }
  | { kind: 'tended'; more: boolean; position: OutboxStatus }
  | { kind: 'settled'; outcomes: DeadLetterOutcome[]; position: OutboxStatus }
  | { kind: 'refused'; reason: string; full: boolean }
  | { kind: 'closed' }

export type WriterData = {
  gateway: string
  ingest: Config['ingest']
  outbox: Config['outbox']
  inboxFile: string
  /** How many events behind what it delivered the bridge may have read. */
  readAheadMaxEvents?: number
}

// Elsewhere than in a thread it is only loaded, so that it gets compiled (the launcher does that).
if (parentPort) serve(parentPort, workerData as WriterData)

function serve(port: MessagePort, { ingest, ...data }: WriterData) {
  const { outbox: settings, inboxFile } = data
  keepHeapSmall()
  const answer = (message: WriterResponse) => port.postMessage(message)
  const fateOf = createFateDecision(ingest)
  const opened = openAll(data)
  if (opened instanceof CannotStart) {
    const { message: reason, isTemporary } = opened
    return answer({ kind: 'cannot start', reason, isTemporary })
  }
  const { outbox, retention } = opened
  const tending = startTending(opened, settings, inboxFile)
  const { epoch, recovery } = outbox
  const store = outbox.store.toString('hex')
  answer({ kind: 'opened', store, epoch, healed: recovery, position: tending.position() })

  const commit = (request: Commit): WriterResponse => {
    const handovers = unpackHandovers(request.packed, request.count)
    const reason = handovers.some(({ kind }) => kind === 'message') ? retention.admit() : null
    if (reason !== null) return { kind: 'refused', reason, full: true }
    const from = outbox.lastSequence + 1
    const since = performance.now()
    const tally = commitHandovers(outbox, fateOf, handovers, request.clock)
    const commitMs = performance.now() - since
    // Notes are no part of the bytes by which it is told when to look.
    tending.lookAtWear(tally.buried > 0 ? 0 : WEAR_LOOK_BYTES)
    if (tally.stored > 0) tending.received(request.clock, { from, to: outbox.lastSequence })
    return { kind: 'committed', tally, commitMs, position: tending.position() }
  }

  const settle = (letters: DeadLetterRequest): WriterResponse => {
    const limits = { nowMs: Date.now(), maxBytes: settings.groupMaxBytes }
    const outcomes = resolveDeadLetters(outbox, letters, fateOf, limits)
    return { kind: 'settled', outcomes, position: tending.position() }
  }

  port.on('message', (request: WriterRequest) => {
    try {
      if (request === 'close') {
        outbox.close()
        tending.close()
        answer({ kind: 'closed' })
        port.close()
      } else if ('packed' in request) answer(commit(request))
      else if ('letters' in request) answer(settle(request.letters))
      else {
        const more = tending.tend(request)
        answer({ kind: 'tended', more, position: tending.position() })
      }
    } catch (error) {
      const { message, code } = error as Error & { code?: string }
      if (isDamage(error)) markDamaged(settings.file, message)
      const full = isDiskFull(error)
      if (full) retention.diskIsFull()
      answer({ kind: 'refused', reason: `${code ?? 'ERROR'}: ${message}`, full })
    }
  })
}

type Opened = { outbox: Outbox; retention: Retention }

/** Opens the outbox within its bounds, or tells why it cannot. */
function openAll({
  gateway,
  outbox: settings,
  inboxFile,
  readAheadMaxEvents,
}: Omit<WriterData, 'ingest'>) {
  let outbox: Outbox | null = null
  try {
    outbox = openOutbox({ file: settings.file, gateway, inboxFile })
    return {
      outbox,
      retention: createRetention(outbox, settings, { readAheadMaxEvents }),
    }
  } catch (error) {
    outbox?.close()
    if (!(error instanceof CannotStart)) throw error
    return error
  }
}

/** What the thread does between commits, and what is known since it last did. */
function startTending(
  { outbox, retention }: Opened,
  { file, heartbeatMs }: Pick<Config['outbox'], 'file' | 'heartbeatMs'>,
  inboxFile: string,
) {
  const delivered = openInboxReader(inboxFile)
  let backlog: Backlog = { events: 0, bytes: 0, oldestAgeMs: 0 }
  let space = retention.space(backlog)
  let lastBeat = performance.now()
  const retime = createClockCorrections()
  let retimed: ClockCorrection[] = []
  let wornAtBytes = 0
  let asides = setAsideFilesOf(file)

  const tick = (clock: ClockState) => {
    // The bridge, which reads more of it, may have found what a commit does not meet.
    const damage = readDamageReason(file)
    if (damage) throw new DamagedFileError(`the outbox is damaged: ${damage}`)
    asides = setAsideFilesOf(file)
    const said = delivered(outbox.store)
    retention.update(said, clock)
    backlog = outbox.backlog(said.pendingRanges, Date.now())
    space = retention.space(backlog)
    if (!outbox.ballast.isPresent) return
    const { epoch } = outbox
    const note = (one: ClockCorrection) => ({
      kind: 'clock',
      at: Date.now(),
      content: { epoch, ...one },
    })
    outbox.commit({ notes: retimed.map(note) })
    retimed = []
    if (performance.now() - lastBeat < heartbeatMs) return
    lastBeat = performance.now()
    outbox.writeZoneHeads()
  }
  const lookAtWear = (everyBytes: number) => {
    if (outbox.bytesSoFar - wornAtBytes < everyBytes) return
    wornAtBytes = outbox.bytesSoFar
    outbox.wear.measure()
  }
  return {
    /** Looks at what was written when so many bytes of groups were stored since the last look. */
    lookAtWear,
    /** Noted at the next tick: a note that cannot be written must not refuse what is stored. */
    received(clock: ClockState, events: { from: number; to: number }): void {
      const baseMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n)
      retimed.push(...retime(clock, baseMs, events))
    },
    tend({ isTick, isLook, clock }: Tend): boolean {
      if (isTick) tick(clock)
      lookAtWear(0)
      if (isLook) retention.requestPruning()
      return retention.step()
    },
    position(): OutboxStatus {
      const { lastSequence, bytesSoFar, unreleased } = outbox
      const known = { ...space, refuses: retention.refuses }
      const { bytes: writtenBytes } = outbox.wear
      const { droppedPayloads: lettersLetGo } = outbox.deadLetterBytes
      const amounts = { lastSequence, bytesSoFar, writtenBytes, lettersLetGo, asides }
      return { ...amounts, qos2Unreleased: unreleased.count, backlog, space: known }
    },
    close: delivered.close,
  }
}
