import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../../config/config.ts'
import type { Clock } from '../../config/event/sensor-reading.ts'
import { keepHeapSmall } from '../../config/process/heap.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Backlog, Space } from '../../config/process/status.ts'
import { startRangeReader } from '../store/delivery/inbox-reader.ts'
import { isDiskFull } from '../store/file/ballast.ts'
import { damageOf, isDamage, markDamaged, Unsound } from '../store/file/damage-mark.ts'
import { type Aside, asidesOf } from '../store/file/damaged-files.ts'
import { type Outbox, openOutbox } from '../store/outbox.ts'
import type { Healed } from '../store/recovery/recovery.ts'
import { openRetention, type Retention } from '../store/retention/retention.ts'
import { type Retimed, startRetiming } from './clock-corrections.ts'
import { commitAll, type Tally } from './commit.ts'
import { type LetterOutcome, type LettersRequest, settleLetters } from './dead-letter-retry.ts'
import { compileFate } from './fate.ts'
import { unpack } from './handover-codec.ts'

/** Far less than what the write-ahead log takes before it begins again and forgets. */
const WEAR_LOOK_BYTES = 128 * 1024

type Commit = { packed: ArrayBuffer; count: number; clock: Clock }
/** Work between commits: every second a tick, by schedule a look, and then step after step. */
type Tend = { isTick: boolean; isLook: boolean; clock: Clock }

/** What the main thread sends; it waits for the answer before it sends again. */
export type Request = Commit | Tend | { letters: LettersRequest } | 'close'

/**
 * Where the outbox stands: its last event, bytes ever stored, QoS 2 unreleased, what waits, and
 * what all of it takes. Since it was opened: bytes written to disk, dead letters that lost theirs.
 */
export type Position = {
  lastSequence: number
  bytesSoFar: number
  unreleased: number
  backlog: Backlog
  space: Space
  writtenBytes: number
  lettersLetGo: number
  /** Damaged files that are kept, as of the last tick. */
  asides: Aside[]
}

/** `full`: refused until there is room. `more`: there may be another step to make. */
export type Answer =
  | { kind: 'opened'; store: string; epoch: number; healed: Healed | null; position: Position }
  | { kind: 'cannot start'; reason: string; mayPass: boolean }
  | { kind: 'committed'; tally: Tally; commitMs: number; position: Position }
  | { kind: 'tended'; more: boolean; position: Position }
  | { kind: 'settled'; outcomes: LetterOutcome[]; position: Position }
  | { kind: 'refused'; reason: string; full: boolean }
  | { kind: 'closed' }

export type WriterData = {
  gateway: string
  ingest: Config['ingest']
  outbox: Config['outbox']
  inboxFile: string
  /** How many events behind what it delivered the bridge may have read. */
  aheadEvents?: number
}

// Elsewhere than in a thread it is only loaded, so that it gets compiled (the launcher does that).
if (parentPort) serve(parentPort, workerData as WriterData)

function serve(port: MessagePort, { ingest, ...data }: WriterData) {
  const { outbox: settings, inboxFile } = data
  keepHeapSmall()
  const answer = (message: Answer) => port.postMessage(message)
  const fateOf = compileFate(ingest)
  const opened = openAll(data)
  if (opened instanceof CannotStart) {
    const { message: reason, mayPass } = opened
    return answer({ kind: 'cannot start', reason, mayPass })
  }
  const { outbox, retention } = opened
  const tending = startTending(opened, settings, inboxFile)
  const { epoch, healed } = outbox
  const store = outbox.store.toString('hex')
  answer({ kind: 'opened', store, epoch, healed, position: tending.position() })

  const commit = (request: Commit): Answer => {
    const handovers = unpack(request.packed, request.count)
    const reason = handovers.some(({ kind }) => kind === 'message') ? retention.admit() : null
    if (reason !== null) return { kind: 'refused', reason, full: true }
    const from = outbox.lastSequence + 1
    const since = performance.now()
    const tally = commitAll(outbox, fateOf, handovers, request.clock)
    const commitMs = performance.now() - since
    // Notes are no part of the bytes by which it is told when to look.
    tending.lookAtWear(tally.buried > 0 ? 0 : WEAR_LOOK_BYTES)
    if (tally.stored > 0) tending.received(request.clock, { from, to: outbox.lastSequence })
    return { kind: 'committed', tally, commitMs, position: tending.position() }
  }

  const settle = (letters: LettersRequest): Answer => {
    const limits = { nowMs: Date.now(), maxBytes: settings.groupMaxBytes }
    const outcomes = settleLetters(outbox, letters, fateOf, limits)
    return { kind: 'settled', outcomes, position: tending.position() }
  }

  port.on('message', (request: Request) => {
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
  aheadEvents,
}: Omit<WriterData, 'ingest'>) {
  let outbox: Outbox | null = null
  try {
    outbox = openOutbox({ file: settings.file, gateway, inboxFile })
    return { outbox, retention: openRetention(outbox, settings, { aheadEvents }) }
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
  const delivered = startRangeReader(inboxFile)
  let backlog: Backlog = { events: 0, bytes: 0, oldestAgeMs: 0 }
  let space = retention.space(backlog)
  let lastBeat = performance.now()
  const retime = startRetiming()
  let retimed: Retimed[] = []
  let wornAtBytes = 0
  let asides = asidesOf(file)

  const tick = (clock: Clock) => {
    // The bridge, which reads more of it, may have found what a commit does not meet.
    const damage = damageOf(file)
    if (damage) throw new Unsound(`the outbox is damaged: ${damage}`)
    asides = asidesOf(file)
    const said = delivered(outbox.store)
    retention.see(said, clock)
    backlog = outbox.backlog(said.spans, Date.now())
    space = retention.space(backlog)
    if (!outbox.ballast.isThere) return
    const { epoch } = outbox
    const note = (one: Retimed) => ({ kind: 'clock', at: Date.now(), content: { epoch, ...one } })
    outbox.commit({ notes: retimed.map(note) })
    retimed = []
    if (performance.now() - lastBeat < heartbeatMs) return
    lastBeat = performance.now()
    outbox.beat()
  }
  const lookAtWear = (everyBytes: number) => {
    if (outbox.bytesSoFar - wornAtBytes < everyBytes) return
    wornAtBytes = outbox.bytesSoFar
    outbox.wear.look()
  }
  return {
    /** Looks at what was written when so many bytes of groups were stored since the last look. */
    lookAtWear,
    /** Noted at the next tick: a note that cannot be written must not refuse what is stored. */
    received(clock: Clock, events: { from: number; to: number }): void {
      const baseMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n)
      retimed.push(...retime(clock, baseMs, events))
    },
    tend({ isTick, isLook, clock }: Tend): boolean {
      if (isTick) tick(clock)
      lookAtWear(0)
      if (isLook) retention.look()
      return retention.step()
    },
    position(): Position {
      const { lastSequence, bytesSoFar, incoming } = outbox
      const known = { ...space, refuses: retention.refuses }
      const { bytes: writtenBytes } = outbox.wear
      const { letGo: lettersLetGo } = outbox.letterBytes
      const amounts = { lastSequence, bytesSoFar, writtenBytes, lettersLetGo, asides }
      return { ...amounts, unreleased: incoming.count, backlog, space: known }
    },
    close: delivered.close,
  }
}
