import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Config } from '../../config/config.ts'
import type { Clock } from '../../config/events.ts'
import { CannotStart } from '../../config/lifetime.ts'
import { keepHeapSmall } from '../../config/memory.ts'
import type { Backlog } from '../../config/telemetry/state.ts'
import { type Outbox, openOutbox } from '../store/outbox.ts'
import { startRangeReader } from '../store/range-reader.ts'
import { commitAll, type Tally } from './commit.ts'
import { compileFate } from './fate.ts'
import { type LetterOutcome, type LettersRequest, settleLetters } from './letters.ts'
import { unpack } from './packing.ts'

/** What the main thread sends; it waits for the answer before it sends again. */
export type Request = Handed | { letters: LettersRequest } | 'tick' | 'close'
type Handed = { packed: ArrayBuffer; count: number; clock: Clock }

/** Where the outbox stands: its last event, bytes ever stored, QoS 2 unreleased, what waits. */
export type Position = {
  lastSequence: number
  bytesSoFar: number
  unreleased: number
  backlog: Backlog
}

export type Answer =
  | { kind: 'opened'; store: string; epoch: number; position: Position }
  | { kind: 'cannot start'; reason: string }
  | { kind: 'committed'; tally: Tally; commitMs: number; position: Position }
  | { kind: 'settled'; outcomes: LetterOutcome[]; position: Position }
  | { kind: 'refused'; reason: string; full: boolean }
  | { kind: 'closed' }

export type WriterData = {
  gateway: string
  ingest: Config['ingest']
  outbox: Config['outbox']
  inboxFile: string
}

// Elsewhere than in a thread it is only loaded, so that it gets compiled (the launcher does that).
if (parentPort) serve(parentPort, workerData as WriterData)

function serve(port: MessagePort, { gateway, ingest, outbox: settings, inboxFile }: WriterData) {
  keepHeapSmall()
  const answer = (message: Answer) => port.postMessage(message)
  const fateOf = compileFate(ingest)
  const delivered = startRangeReader(inboxFile)
  let backlog: Backlog = { events: 0, bytes: 0, oldestAgeMs: 0 }
  let lastBeat = performance.now()
  const outbox = open()

  port.on('message', (request: Request) => {
    if (!outbox) return
    const since = performance.now()
    try {
      if (request === 'close') return close(outbox)
      if (typeof request === 'object' && 'letters' in request) {
        const outcomes = settle(outbox, request.letters)
        return answer({ kind: 'settled', outcomes, position: positionOf(outbox) })
      }
      const tally = request === 'tick' ? tick(outbox) : commit(outbox, request)
      const commitMs = performance.now() - since
      answer({ kind: 'committed', tally, commitMs, position: positionOf(outbox) })
    } catch (error) {
      const { message, code } = error as Error & { code?: string }
      const full = code === 'SQLITE_FULL'
      answer({ kind: 'refused', reason: `${code ?? 'ERROR'}: ${message}`, full })
    }
  })

  function open(): Outbox | null {
    try {
      const opened = openOutbox({ file: settings.file, gateway, inboxFile })
      const store = opened.store.toString('hex')
      answer({ kind: 'opened', store, epoch: opened.epoch, position: positionOf(opened) })
      return opened
    } catch (error) {
      if (!(error instanceof CannotStart)) throw error
      answer({ kind: 'cannot start', reason: error.message })
      return null
    }
  }

  function settle(to: Outbox, letters: LettersRequest): LetterOutcome[] {
    const limits = { nowMs: Date.now(), maxBytes: settings.groupMaxBytes }
    return settleLetters(to, letters, fateOf, limits)
  }

  function commit(to: Outbox, request: Handed): Tally {
    return commitAll(to, fateOf, unpack(request.packed, request.count), request.clock)
  }

  function tick(to: Outbox): Tally {
    if (performance.now() - lastBeat >= settings.heartbeatMs) {
      lastBeat = performance.now()
      to.beat()
    }
    backlog = to.backlog(delivered(to.store), Date.now())
    return { stored: 0, buried: 0, repeated: 0 }
  }

  function close(from: Outbox): void {
    from.close()
    delivered.close()
    answer({ kind: 'closed' })
    port.close()
  }

  function positionOf({ lastSequence, bytesSoFar, incoming }: Outbox): Position {
    return { lastSequence, bytesSoFar, unreleased: incoming.count, backlog }
  }
}
