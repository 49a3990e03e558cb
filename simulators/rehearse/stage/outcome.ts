import type { Verdict } from '../../pipeline/verdict.ts'

/** What a rehearsal of one fault came to: a row of the table. */
export type RehearsalOutcome = {
  fault: string
  /** How often it was injected. */
  times: number
  acknowledged: number
  /** Acknowledged, and neither in Kafka nor named by the ledger. */
  lost: number
  countedTwice: number
  outOfOrder: number
  /** What else there is to say: how many hits, how fast ready again. */
  remarks: string
  passed: boolean
}

/** A fault that could not be rehearsed here, and why. */
export type SkippedRehearsal = { fault: string; skipped: string }

/**
 * The outcome of a run that was judged by the devices' own record, and how much of what was due was
 * acknowledged.
 */
export function outcomeOf(
  fault: string,
  times: number,
  verdict: Verdict,
  remarks: string[] = [],
): RehearsalOutcome {
  const { scheduled, acknowledged, missing, duplicates, inversions } = verdict
  const passed = verdict.verdict === 'complete'
  const share = Math.round((acknowledged / Math.max(1, scheduled)) * 100)
  const told = [share < 100 && `${share} % of what was sent`, !passed && verdict.verdict]
  return {
    fault,
    times,
    acknowledged,
    lost: missing,
    countedTwice: duplicates,
    outOfOrder: inversions,
    remarks: [...remarks, ...told.filter(one => one !== false)].join('; '),
    passed,
  }
}

const columns = [
  ['fault', 'times', 'acknowledged', 'lost', 'twice', 'out of order', '', 'remarks'],
] as const

/** The table that people read; one row a fault. */
export function formatOutcomeTable(rows: (RehearsalOutcome | SkippedRehearsal)[]): string {
  const cells = [...columns, ...rows.map(cellsOf)]
  const widths = columns[0].map((_, at) => Math.max(...cells.map(row => row[at]!.length)))
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (isNumber(at) ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
  return cells.map(row => line(row).join('  ').trimEnd()).join('\n')
}

const isNumber = (at: number) => at >= 1 && at <= 5

function cellsOf(row: RehearsalOutcome | SkippedRehearsal): string[] {
  if ('skipped' in row) return [row.fault, '', '', '', '', '', 'skipped', row.skipped]
  const { fault, times, acknowledged, lost, countedTwice, outOfOrder, remarks, passed } = row
  const numbers = [times, acknowledged, lost, countedTwice, outOfOrder]
  return [fault, ...numbers.map(String), passed ? 'passed' : 'FAILED', remarks]
}
