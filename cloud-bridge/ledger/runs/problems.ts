import { timeText } from '../../../config/process/text-format.ts'
import { type EpochLedger, oldestIn } from '../epoch.ts'
import { APPEND_TIME_TOLERANCE_MS, type GatewayLedger, type LogStarts } from '../ledger.ts'
import { isRetired } from './retirement.ts'
import { describeStores } from './stores.ts'
import type { Tip } from './tips.ts'

/**
 * What a person must know about the stores of a gateway. A warning does not keep the gateway from
 * being complete.
 */
export type Problem = {
  kind: 'two gateways' | 'went back' | 'not heard' | 'notes gone'
  text: string
  isWarning: boolean
}

type Options = {
  nowMs: number
  silentAfterMs: number
  logStarts?: LogStarts
  noteLogStarts?: LogStarts
}

const textOf = (ms: number | null) => (ms === null ? 'an unknown time' : timeText(ms))

/** Finds what the runs and stores of a gateway show beside their gaps. */
export function findProblems(
  known: GatewayLedger,
  tips: readonly Tip[],
  options: Options,
): Problem[] {
  return [
    ...forks(known),
    ...simultaneousStores(known, tips),
    ...tips.flatMap(tip => unheard(tip, tips)),
    ...[...known.epochs.values()].flatMap(run => notesGone(run, known, options)),
  ]
}

/** Two runs of one store follow the same run: one card has a copy. */
function forks(known: GatewayLedger): Problem[] {
  return [...known.epochs.values()].flatMap(run => {
    const ends = [...run.ends.values()].sort((a, b) => a.appendTimeMs - b.appendTimeMs)
    const [first, last] = [ends[0], ends.at(-1)]
    const retiredMs = known.retirements.of(run)?.appendTimeMs ?? Number.NEGATIVE_INFINITY
    if (!first || !last || ends.length === 1 || last.appendTimeMs <= retiredMs) return []
    const runs = ends.map(end => end.run).join(' and ')
    const text = `runs ${runs} of store ${run.store} both follow run ${run.epoch}`
    return [twoGateways(known, text)]
  })
}

/** Two stores were heard at the same time. */
function simultaneousStores(known: GatewayLedger, tips: readonly Tip[]): Problem[] {
  const live = describeStores(known, tips).filter(
    ({ store, state }) => store !== null && state !== 'retired',
  )
  return live.flatMap((later, index) => {
    const earlier = live.slice(0, index).find(({ heardTo }) => heardTo! > later.heardFrom!)
    if (!earlier) return []
    const from = timeText(later.heardFrom!)
    return [twoGateways(known, `stores ${earlier.store} and ${later.store}, both heard at ${from}`)]
  })
}

const twoGateways = ({ gateway }: GatewayLedger, text: string): Problem => ({
  kind: 'two gateways',
  text: `two gateways are called ${gateway}: ${text}`,
  isWarning: true,
})

/** A run that nothing ends is not heard of any more, or its store went back. */
function unheard({ run, state, wentBackTo }: Tip, tips: readonly Tip[]): Problem[] {
  const { store, epoch, reach } = run
  if (wentBackTo !== null) {
    const text = `store ${store} went back from ${reach} to ${wentBackTo} of run ${epoch}`
    return [{ kind: 'went back', text, isWarning: false }]
  }
  if (state !== 'silent' || tips.length === 1 || store === null) return []
  const text = `store ${store} was last heard at ${textOf(run.times.heardMs)}, in run ${epoch}`
  return [{ kind: 'not heard', text, isWarning: false }]
}

function notesGone(run: EpochLedger, known: GatewayLedger, options: Options): Problem[] {
  if (isRetired(run, known) || !lacksStart(run, known, options)) return []
  const cure = 'keep the ledger topic at least as long as the readings'
  const text = `the ledger topic no longer has the notes of run ${run.epoch}; ${cure}`
  return [{ kind: 'notes gone', text, isWarning: false }]
}

/**
 * Whether the first note of a run is gone although events of the run can still be in Kafka. The
 * run's events before the oldest one seen are accounted for only if Kafka has deleted them, or if
 * the ledger topic goes back as far as the readings: then later notes name their zones.
 */
export function lacksStart(run: EpochLedger, known: GatewayLedger, options: Options): boolean {
  const oldest = oldestIn(run)
  if (run.start || !oldest || oldest.sequence === 1) return false
  // The first note of a run can arrive after the first event, but not after a later note, which
  // the next run can have written.
  const isYoung = options.nowMs - oldest.appendTimeMs <= options.silentAfterMs
  if (isYoung && run.times.newestNoteMs === null && run.ends.size === 0) return false
  const readingsFromMs = Math.min(...(options.logStarts?.values() ?? []), oldest.appendTimeMs)
  const notesFromMs = noteLogStartOf(known, options.noteLogStarts)
  const isPrefixDeleted =
    options.logStarts !== undefined &&
    options.logStarts.size > 0 &&
    readingsFromMs >= oldest.appendTimeMs - APPEND_TIME_TOLERANCE_MS
  const isTruncated = notesFromMs !== Number.NEGATIVE_INFINITY
  const isAsLong = isTruncated && notesFromMs <= readingsFromMs + APPEND_TIME_TOLERANCE_MS
  return !isPrefixDeleted && !isAsLong
}

/** From when on the ledger topic has the notes of a gateway; -Infinity: from the beginning. */
function noteLogStartOf({ notePartitions }: GatewayLedger, starts: LogStarts = new Map()): number {
  const own = [...starts].filter(
    ([partition]) => notePartitions.size === 0 || notePartitions.has(partition),
  )
  return Math.max(Number.NEGATIVE_INFINITY, ...own.map(([, startMs]) => startMs))
}
