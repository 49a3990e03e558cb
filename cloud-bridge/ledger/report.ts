import type { GatewayAssessment } from './assessment.ts'
import { sizeOf } from './gap-segments.ts'
import type { ReportedGap } from './gaps.ts'

/** What the ledger comes to, as `--json` prints it. Times are ms since 1970. */
export type LedgerReport = {
  verdict: 'complete' | 'incomplete' | 'unproven'
  at: number
  gateways: GatewayAssessment[]
  /** Values in the topics that are neither events nor notes of ours. */
  foreign: number
}

/** A person reads so many holes of a gateway; a program asks for JSON. */
const SHOWN_MAX = 20
/** When Kafka got a heartbeat is told as well, where that is so far from when it was written. */
const CLOCK_OFF_MS = 60_000

/** Gives all gateways one verdict; what is only on its way yet does not make it incomplete. */
export function createReport(
  gateways: GatewayAssessment[],
  foreign: number,
  at: number,
): LedgerReport {
  const isIncomplete = gateways.some(
    ({ missing, explained, strange, lostNotes }) =>
      missing + explained + strange + lostNotes.length > 0,
  )
  const isComplete = gateways.length > 0 && gateways.every(({ state }) => state === 'complete')
  const verdict = isIncomplete ? 'incomplete' : isComplete ? 'complete' : 'unproven'
  return { verdict, at, gateways, foreign }
}

/**
 * 0 complete, 1 something is missing or was dropped, or notes are lost, which may have been dead
 * letters or have said so; 3 nothing is, but it cannot be proven.
 */
export function exitCodeOf({ verdict }: LedgerReport): number {
  return { complete: 0, incomplete: 1, unproven: 3 }[verdict]
}

/** The report for a person, in lines. */
export function describeReport({ gateways, foreign }: LedgerReport): string {
  const lines = gateways.flatMap(describeGateway)
  if (gateways.length === 0) lines.push('no gateway has sent anything yet')
  if (foreign > 0) lines.push(`${count(foreign)} values in the topics are not ours`)
  return lines.join('\n')
}

function describeGateway(conclusion: GatewayAssessment): string[] {
  const { gateway, state, time, heardAt, holes, lostNotes, unproven, forgotten } = conclusion
  const when = time === null ? 'ever' : moment(time)
  const isOff = time !== null && heardAt !== null && Math.abs(heardAt - time) > CLOCK_OFF_MS
  const heard = isOff ? ` by its clock (Kafka got that at ${moment(heardAt)})` : ''
  const counts = [
    `${count(conclusion.events)} events`,
    `${count(conclusion.duplicates)} duplicates removed`,
    conclusion.missing > 0 && `${count(conclusion.missing)} missing`,
    conclusion.explained > 0 && `${count(conclusion.explained)} gone for a reason`,
    conclusion.awaited > 0 && `${count(conclusion.awaited)} on their way`,
    unproven > forgotten && `${count(unproven - forgotten)} behind the newest heartbeat`,
    forgotten > 0 && `${count(forgotten)} of a run that a restored outbox forgot`,
    conclusion.expired > 0 && `${count(conclusion.expired)} older than what Kafka has, not judged`,
    lostNotes.length > 0 &&
      `${count(lostNotes.reduce((sum, one) => sum + sizeOf(one), 0))} notes lost`,
    conclusion.strange > 0 && `${count(conclusion.strange)} with a number that another one has`,
  ].filter(text => text !== false)
  const upTo = state === 'complete' ? 'complete up to' : `${state} since`
  const more = holes.length - SHOWN_MAX
  return [
    `${plain(gateway)}: ${upTo} ${when}${heard}; ${counts.join(', ')}`,
    ...holes.slice(0, SHOWN_MAX).map(hole => `  ${describeHole(hole)}`),
    ...(more > 0 ? [`  and ${count(more)} holes more; --json lists all`] : []),
    ...lostNotes.map(
      ({ origin, from, to, reason }) =>
        `  notes ${from}..${to} of the ${plain(origin)} are lost (${plain(reason)})`,
    ),
  ]
}

function describeHole(hole: ReportedGap): string {
  const { zone, epoch, from, to, timeFrom, timeTo, fate, reason } = hole
  const where = zone === null ? 'sequence' : `zone ${plain(zone)}`
  const numbers = from === to ? `${from}` : `${from}..${to} (${count(sizeOf(hole))})`
  const run = epoch === null ? '' : ` of run ${epoch}`
  const times = [timeFrom, timeTo].map(time => (time === null ? '?' : moment(time))).join(' to ')
  return `${fate}: ${where} ${numbers}${run}, ${times}${reason && `: ${plain(reason)}`}`
}

const count = (number: number) => number.toLocaleString('en')
/** What came over the network must not steer a terminal. */
const plain = (text: string) => (/\p{C}/u.test(text) ? JSON.stringify(text) : text)

function moment(ms: number): string {
  const time = new Date(ms)
  return Number.isNaN(time.getTime()) ? `${ms} ms` : time.toISOString()
}
