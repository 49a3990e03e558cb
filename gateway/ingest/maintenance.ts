import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { Backlog, OutboxSpace } from '../../config/process/gateway-state.ts'
import { openInboxReader } from '../store/delivery/inbox-reader.ts'
import { DamagedFileError, readDamageReason } from '../store/file/damage-mark.ts'
import { type SetAsideFile, setAsideFilesOf } from '../store/file/damaged-files.ts'
import type { Outbox } from '../store/outbox.ts'
import type { UnreleasedBounds } from '../store/qos2-unreleased.ts'
import type { Retention } from '../store/retention/retention.ts'
import { type ClockCorrection, createClockCorrections } from './clock-corrections.ts'
import type { TimeProblemCounts, TimeProblems } from './time/time-problems.ts'

/**
 * Disk writes are measured after at most this many bytes of groups. The measurement reads the
 * write-ahead log, and SQLite overwrites the log from its start only after far more bytes than
 * this.
 */
const MEASURE_WEAR_BYTES = 128 * 1024

/** How often unreleased QoS 2 messages are checked for their age. */
const EXPIRE_EVERY_MS = 60_000

/** Work between two commits: the tick of every second, and a scheduled pruning. */
export type MaintenanceTask = { isTick: boolean; isPruning: boolean }

/** The state of the outbox after the last request to the writer thread. */
export type OutboxStatus = {
  lastSequence: number
  /** Bytes of all groups that were ever stored. */
  bytesSoFar: number
  /** QoS 2 messages that are stored and not yet released by their PUBREL. */
  qos2Unreleased: number
  /** Unreleased QoS 2 messages that were forgotten at each bound since the outbox was opened. */
  qos2Forgotten: Record<keyof UnreleasedBounds, number>
  /** Undelivered events, as of the last tick. */
  backlog: Backlog
  space: OutboxSpace
  /** Bytes written to disk for the outbox since it was opened. */
  writtenBytes: number
  /**
   * Dead letters whose payload was deleted at `outbox.bounds.deadLetterBytes` since the outbox was
   * opened.
   */
  deadLettersWithoutPayload: number
  /** How many messages had each kind of strange time, since the start. */
  timeProblems: TimeProblemCounts
  /** Damaged outbox files that were set aside and still exist, as of the last tick. */
  setAsideFiles: SetAsideFile[]
}

type Stores = { outbox: Outbox; retention: Retention }
type Files = { outboxFile: string; inboxFile: string }

/** The writer thread's work between commits, and the status of the outbox. */
export function openMaintenance(
  { outbox, retention }: Stores,
  { outboxFile, inboxFile }: Files,
  { heartbeatMs, qos2KeepMs }: { heartbeatMs: number; qos2KeepMs: number },
  timeProblems: Pick<TimeProblems, 'counts'>,
) {
  const readInbox = openInboxReader(inboxFile)
  let backlog: Backlog = { events: 0, bytes: 0, oldestAgeMs: 0 }
  let space = retention.space(backlog)
  let heartbeatAtMs = performance.now()
  let expiredAtMs = Number.NEGATIVE_INFINITY
  const correctClock = createClockCorrections()
  let corrections: ClockCorrection[] = []
  let measuredAtBytes = 0
  let setAsideFiles = setAsideFilesOf(outboxFile)

  const tick = (clock: ClockState) => {
    outbox.checkFiles()
    // The bridge reads parts of the outbox that no commit reads, and marks the damage that it
    // finds.
    const damage = readDamageReason(outboxFile)
    if (damage) throw new DamagedFileError(`the outbox is damaged: ${damage}`)
    setAsideFiles = setAsideFilesOf(outboxFile)
    const inboxState = readInbox(outbox.store)
    retention.update(inboxState, clock)
    backlog = outbox.backlog(inboxState.pendingRanges, Date.now())
    space = retention.space(backlog)
    if (!outbox.ballast.isPresent) return
    const { epoch } = outbox
    const notes = corrections.map(correction => ({
      note: { kind: 'clock', content: { epoch, ...correction } } as const,
      at: Date.now(),
    }))
    expireUnreleased(clock)
    outbox.commit({ notes })
    corrections = []
    if (performance.now() - heartbeatAtMs < heartbeatMs) return
    heartbeatAtMs = performance.now()
    outbox.writeZoneHeads()
  }
  const expireUnreleased = (clock: ClockState) => {
    if (clock === 'UNSYNCED' || performance.now() - expiredAtMs < EXPIRE_EVERY_MS) return
    expiredAtMs = performance.now()
    outbox.unreleased.expire(Date.now() - qos2KeepMs, Date.now())
  }
  const measureWear = (minBytes: number) => {
    if (outbox.bytesSoFar - measuredAtBytes < minBytes) return
    measuredAtBytes = outbox.bytesSoFar
    outbox.wear.measure()
  }
  return {
    /**
     * To be called after each commit: measures the disk writes, at once when the commit stored
     * dead letters, because `bytesSoFar` does not count the bytes of notes.
     */
    measureCommit: (deadLettered: number) => measureWear(deadLettered > 0 ? 0 : MEASURE_WEAR_BYTES),
    /**
     * Records under which clock the events of a commit were received. A correction becomes a note
     * at the next tick, because a note that cannot be written must not refuse messages that are
     * already stored.
     */
    recordReceived(clock: ClockState, events: { from: number; to: number }): void {
      const baseMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n)
      corrections.push(...correctClock(clock, baseMs, events))
    },
    /**
     * Does the task and one step of retention; returns true when retention may have another step to
     * do.
     */
    run({ isTick, isPruning }: MaintenanceTask, clock: ClockState): boolean {
      if (isTick) tick(clock)
      measureWear(0)
      if (isPruning) retention.requestPruning()
      return retention.step()
    },
    status(): OutboxStatus {
      const { lastSequence, bytesSoFar, wear, deadLetterBytes } = outbox
      return {
        ...{ lastSequence, bytesSoFar, backlog, setAsideFiles },
        qos2Unreleased: outbox.unreleased.count,
        qos2Forgotten: outbox.unreleased.forgottenAtBounds,
        space: { ...space, ...retention.refusal() },
        writtenBytes: wear.bytes,
        deadLettersWithoutPayload: deadLetterBytes.droppedPayloads,
        timeProblems: timeProblems.counts(),
      }
    },
    close: readInbox.close,
  }
}
