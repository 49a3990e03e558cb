import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { timeText } from '../../config/process/text-format.ts'
import type { GatewayAssessment } from './assessment.ts'
import type { Conflict } from './duplicates.ts'
import { sizeOf } from './gap-segments.ts'
import type { ReportedGap } from './gaps.ts'
import type { RetiredHole } from './runs/retired-holes.ts'
import type { StoreAssessment } from './runs/stores.ts'

/** The verdict on all gateways, as `--json` prints it. Times are ms since 1970. */
export type LedgerReport = {
  verdict: 'complete' | 'incomplete' | 'unproven'
  at: number
  gateways: GatewayAssessment[]
  /** How many values in the topics are neither events nor notes of Sluice. */
  foreign: number
}

/** The text lists this many gaps of a gateway; `--json` lists all. */
const LISTED_MAX = 20
/**
 * A heartbeat's append time is printed when it differs from the gateway's time by more than this.
 */
const CLOCK_OFF_MS = 60_000

/** Combines the gateways into one verdict; awaited events do not make it `incomplete`. */
export function createReport(
  gateways: GatewayAssessment[],
  foreign: number,
  at: number,
): LedgerReport {
  const isIncomplete = gateways.some(
    ({ missing, explained, strange, conflicting, lostNotes, retired }) =>
      missing + explained + strange + conflicting + lostNotes.length > 0 ||
      retired.some(({ isCovered }) => isCovered),
  )
  const isComplete =
    gateways.length > 0 &&
    gateways.every(({ state }) => state === 'complete' || state === 'retired')
  const verdict = isIncomplete ? 'incomplete' : isComplete ? 'complete' : 'unproven'
  return { verdict, at, gateways, foreign }
}

/**
 * 0: complete. 1: events are missing, dropped, unexplained, conflicting or retired, or notes are
 * lost (a lost note can have been a dead letter, or the explanation of a gap). 3: nothing is
 * missing, but that cannot be proven.
 */
export function exitCodeOf({ verdict }: LedgerReport): number {
  const codes = { complete: 'DONE', incomplete: 'ERR_NEGATIVE', unproven: 'ERR_UNPROVEN' } as const
  return exitStatusOf(codes[verdict])
}

/** The report as lines of text for an operator. */
export function describeReport({ gateways, foreign }: LedgerReport): string {
  const lines = gateways.flatMap(describeGateway)
  if (gateways.length === 0) lines.push('no gateway has sent anything yet')
  if (foreign > 0) {
    lines.push(`${count(foreign)} values in the topics are neither events nor notes of Sluice`)
  }
  return lines.join('\n')
}

function describeGateway(assessment: GatewayAssessment): string[] {
  const { gateway, state, time, heardAt, holes: gaps, lostNotes } = assessment
  const moment = time === null ? 'the beginning' : timeText(time)
  const isOff = time !== null && heardAt !== null && Math.abs(heardAt - time) > CLOCK_OFF_MS
  const appended = isOff
    ? ` by its clock (Kafka stored that heartbeat at ${timeText(heardAt)})`
    : ''
  const upTo = state === 'complete' ? 'complete up to' : `${state} since`
  const unlisted = gaps.length - LISTED_MAX
  return [
    `${printable(gateway)}: ${upTo} ${moment}${appended}; ${countsOf(assessment).join(', ')}`,
    ...assessment.problems.map(
      ({ text, isWarning }) => `  ${isWarning ? 'warning: ' : ''}${printable(text)}`,
    ),
    ...(assessment.stores.length > 1 ? assessment.stores.map(describeStore) : []),
    ...assessment.retired.map(hole => `  ${describeRetired(hole)}`),
    ...gaps.slice(0, LISTED_MAX).map(gap => `  ${describeGap(gap)}`),
    ...(unlisted > 0 ? [`  and ${count(unlisted)} more gaps; --json lists all`] : []),
    ...assessment.conflicts.map(describeConflict),
    ...lostNotes
      .slice(0, LISTED_MAX)
      .map(
        ({ origin, from, to, reason }) =>
          `  notes ${from}..${to} of the ${printable(origin)} are lost (${printable(reason)})`,
      ),
    ...(lostNotes.length > LISTED_MAX
      ? [
          `  and ${count(lostNotes.length - LISTED_MAX)} more ranges of lost notes; --json lists all`,
        ]
      : []),
  ]
}

function countsOf(assessment: GatewayAssessment): string[] {
  const { missing, explained, awaited, unproven, forgotten, expired } = assessment
  const { strange, conflicting, lostNotes } = assessment
  const lostCount = lostNotes.reduce((sum, range) => sum + sizeOf(range), 0)
  const counts = [
    `${count(assessment.events)} events`,
    `${count(assessment.duplicates)} duplicates removed`,
    missing > 0 && `${count(missing)} missing`,
    explained > 0 && `${count(explained)} not delivered, with a reason`,
    awaited > 0 && `${count(awaited)} on their way`,
    unproven > forgotten && `${count(unproven - forgotten)} after the newest heartbeat`,
    forgotten > 0 && `${count(forgotten)} of an epoch that a restored outbox forgot`,
    expired > 0 && `${count(expired)} expired in Kafka, not judged`,
    lostNotes.length > 0 && `${count(lostCount)} notes lost`,
    strange > 0 && `${count(strange)} with the number of another event`,
    conflicting > 0 && `${count(conflicting)} conflicting duplicates`,
  ]
  return counts.filter(text => text !== false)
}

function describeStore({ store, state, heardTo, runs }: StoreAssessment): string {
  const name = store === null ? 'runs of an unknown store' : `store ${printable(store)}`
  const heard = heardTo === null ? 'never heard' : `last heard at ${timeText(heardTo)}`
  return `  ${name}: ${state}, ${heard}${runs.length > 0 ? `, in run ${runs.join(' and ')}` : ''}`
}

/** One line about what a retired store left open. */
export function describeRetired(hole: RetiredHole): string {
  const { store, reason, from, to, numbers, notes, isCovered } = hole
  const since = from === null ? 'the beginning' : timeText(from)
  const lost = notes > 0 ? `, ${count(notes)} lost notes` : ''
  const known = `${count(numbers)} known numbers${lost}, and unknown readings after them`
  const end = isCovered ? '' : '; Kafka has deleted the readings of that time'
  const name = `store ${printable(store)} at ${timeText(to)}: ${printable(reason)}`
  return `retired: ${name}; open since ${since}: ${known}${end}`
}

function describeConflict({ epoch, sequence, zone, zoneSequence, receivedAt }: Conflict): string {
  const place = `zone ${printable(zone)} ${zoneSequence}, received at ${timeText(receivedAt)}`
  return `  conflicting: sequence ${sequence} of epoch ${epoch} arrived as another event: ${place}`
}

function describeGap(gap: ReportedGap): string {
  const { zone, epoch, from, to, timeFrom, timeTo, fate, reason } = gap
  const numbered = zone === null ? 'sequence' : `zone ${printable(zone)}`
  const numbers = from === to ? `${from}` : `${from}..${to} (${count(sizeOf(gap))})`
  const inEpoch = epoch === null ? '' : ` of epoch ${epoch}`
  const times = [timeFrom, timeTo].map(time => (time === null ? '?' : timeText(time))).join(' to ')
  return `${fate}: ${numbered} ${numbers}${inEpoch}, ${times}${reason && `: ${printable(reason)}`}`
}

const count = (number: number) => number.toLocaleString('en')
/** Text from the network must not contain control characters that steer a terminal. */
const printable = (text: string) => (/\p{C}/u.test(text) ? JSON.stringify(text) : text)
