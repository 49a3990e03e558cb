import type { Verdict } from '../../pipeline/verdict.ts'

/** The outcome of a rehearsal of one fault: a row of the table. */
export type RehearsalOutcome = {
  fault: string
  /** How often the fault was injected. */
  times: number
  acknowledged: number
  /** Acknowledged messages that are neither in Kafka nor named by the ledger. */
  lost: number
  countedTwice: number
  outOfOrder: number
  /** Further results as text, such as the longest time until a restarted process was ready. */
  remarks: string
  passed: boolean
}

/** A fault that could not be rehearsed here, and why. */
export type SkippedRehearsal = { fault: string; skipped: string }

/**
 * The outcome of a rehearsal, from its verdict. To the remarks are added the acknowledged
 * percentage of the scheduled messages, if it is below 100 %, and the faults of the verdict.
 */
export function outcomeOf(
  fault: string,
  times: number,
  verdict: Verdict,
  remarks: string[] = [],
): RehearsalOutcome {
  const { scheduled, acknowledged, missing, duplicates, inversions } = verdict
  const passed = verdict.verdict === 'complete'
  const percent = Math.round((acknowledged / Math.max(1, scheduled)) * 100)
  const details = [
    percent < 100 && `${percent} % of the scheduled messages acknowledged`,
    !passed && verdict.verdict,
  ]
  return {
    fault,
    times,
    acknowledged,
    lost: missing,
    countedTwice: duplicates,
    outOfOrder: inversions,
    remarks: [...remarks, ...details.filter(detail => detail !== false)].join('; '),
    passed,
  }
}

const columns = [
  ['fault', 'times', 'acknowledged', 'lost', 'twice', 'out of order', '', 'remarks'],
] as const

/** Formats the outcomes as a table for people, one row for each fault. */
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
