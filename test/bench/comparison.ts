// npm run bench:compare -- --base DIR [--pairs N] NAME… [options of the bench]: runs benches
// alternately in this checkout and in another one, and prints the ratio of each CPU figure with its
// interval.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type MedianInterval, medianInterval } from './measure/median-interval.ts'

type Line = { part: string; figure: string; of: string | null; unit: string; value: number | null }

const ours = fileURLToPath(new URL('../..', import.meta.url))
const CPU_UNIT = 's/million'
const CONFIDENCE = 0.9

const { values, positionals } = parseArgs({
  allowPositionals: true,
  args: process.argv.slice(2),
  options: {
    base: { type: 'string' },
    pairs: { type: 'string', default: '8' },
    events: { type: 'string' },
    client: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
})
const pairs = Number(values.pairs)
if (values.base === undefined || positionals.length === 0 || !(pairs >= 1)) {
  process.stderr.write('Usage: npm run bench:compare -- --base DIR [--pairs 8] NAME… [--quick]\n')
  process.exit(2)
}
const options = [
  ...positionals,
  ...(values.quick ? ['--quick'] : []),
  ...(['events', 'client'] as const).flatMap(name =>
    values[name] === undefined ? [] : [`--${name}`, values[name]],
  ),
]

const ratios = new Map<string, number[]>()
for (let pair = 1; pair <= pairs; pair++) {
  // The order changes with each pair, so that a drift of the machine's speed cancels out.
  const order = pair % 2 === 0 ? [ours, values.base] : [values.base, ours]
  const results = new Map<string, Map<string, number>>()
  for (const checkout of order) results.set(checkout, await measure(checkout))
  for (const [name, value] of results.get(ours)!) {
    const base = results.get(values.base)!.get(name)
    if (base !== undefined) ratios.set(name, [...(ratios.get(name) ?? []), value / base])
  }
  process.stderr.write(`bench: pair ${pair} of ${pairs}\n`)
}
process.stdout.write('| figure | median ratio | interval (coverage) | pairs |\n|---|---|---|---|\n')
for (const [name, values] of ratios) {
  const interval = medianInterval(values, CONFIDENCE)
  process.stdout.write(
    `| ${name} | ${interval.median.toFixed(3)} | ${textOf(interval)} | ${values.length} |\n`,
  )
}

/**
 * Runs the benches once in a checkout. Returns their CPU figures, in seconds per million, by name.
 */
async function measure(checkout: string): Promise<Map<string, number>> {
  const child = spawn('./sluice', ['exec', 'test/bench/bench.ts', ...options], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes
  })
  const status = await new Promise<number | null>(resolve => child.once('close', resolve))
  if (status !== 0) throw new Error(`the bench in ${checkout} ended with status ${status}`)
  const lines = text.split('\n').filter(line => line.startsWith('{'))
  const figures = lines.map(line => JSON.parse(line) as Line)
  return new Map(
    figures
      .filter(({ unit, value }) => unit === CPU_UNIT && value !== null)
      .map(({ part, figure, of, value }) => [`${part}: ${figure}, ${of ?? ''}`, value!]),
  )
}

function textOf({ low, high, coverage }: MedianInterval): string {
  return `${low.toFixed(3)} to ${high.toFixed(3)} (${Math.round(coverage * 100)} %)`
}
