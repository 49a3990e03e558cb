import { type Figure, isReached, type Target } from './figures.ts'

const HEAD = ['part', 'figure', 'of', 'value', 'min to max', 'unit', 'target', 'reached']

/** Formats the figures as a Markdown table. */
export function tableOf(rows: { part: string; figure: Figure }[]): string {
  const cells = [HEAD, ...rows.map(({ part, figure }) => cellsOf(part, figure))]
  const widths = HEAD.map((_, column) => Math.max(...cells.map(row => row[column]!.length)))
  const line = (row: string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  const rule = line(widths.map(width => '-'.repeat(width)))
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n')
}

function cellsOf(part: string, { figure, of, unit, target, ...more }: Figure): string[] {
  const { value, min, max, runs } = more
  const reached = isReached({ figure, of, unit, value, ...(target && { target }) })
  return [
    part,
    figure,
    of ?? '',
    value === null ? 'not measured' : String(value),
    runs > 1 && min !== null ? `${min} to ${max}` : '',
    unit,
    target ? textOf(target) : '',
    reached === null ? '' : reached ? 'yes' : 'no',
  ]
}

function textOf(target: Target): string {
  if ('atLeast' in target) return `>= ${target.atLeast}`
  return 'atMost' in target ? `<= ${target.atMost}` : `< ${target.below}`
}
