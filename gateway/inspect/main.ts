import { Command, InvalidArgumentError, Option } from 'commander'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'
import { CommandFailed } from '../../config/process/command-request.ts'
import { CannotStart, untilSignal } from '../../config/process/lifetime.ts'
import { createTerminal, OutputClosed } from '../../config/process/terminal.ts'
import { parseMoment } from '../../config/process/time-argument.ts'
import { listDeadLetters, resolveDeadLetters, showDeadLetters } from './dead-letters.ts'
import { runExport } from './export.ts'
import { runTail } from './tail.ts'

const STOP_MS = 5000
const program = new Command('sluice').description(
  'Shows what is stored in the outbox, also while the gateway runs.',
)
const withConfig = (command: Command) =>
  command.option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
const terminal = createTerminal(process.stdout, process.stderr)

withConfig(program.command('tail'))
  .description('Shows the last events as they are stored.')
  .option('--zone <name>', 'only events of this zone')
  .option('--count <number>', 'how many of the last events', parseCount, 10)
  .option('--follow', 'show each new event too, until Ctrl-C')
  .option('--json', 'one JSON object a line, with every field')
  .action(async ({ config, zone, count, follow = false, json = false }) => {
    const { file } = load(config).outbox
    const signal = stopSignal()
    process.exitCode = await runTail({ file, zone, count, follow, json, signal, terminal })
  })

withConfig(program.command('export'))
  .description('Writes the events that were received within a time to a file.')
  .requiredOption(
    '--from <time>',
    'received then or later: 2026-05-01T08:00:00Z, -2h, -7d',
    parseTime,
  )
  .option('--to <time>', 'received before then', parseTime, Date.now())
  .option('--zone <name>', 'only events of this zone')
  .addOption(
    new Option('--format <name>', 'JSON lines, or an Avro object container file')
      .choices(['jsonl', 'avro'])
      .default('jsonl'),
  )
  .option('--out <file>', 'a file that does not exist yet; standard output otherwise')
  .action(async ({ config, from: fromMs, to: toMs, zone, format, out }) => {
    const { file } = load(config).outbox
    if (fromMs >= toMs) throw new CannotStart('--from must be before --to')
    if (format === 'avro' && out === undefined && process.stdout.isTTY) {
      throw new CannotStart('Avro is no text for a terminal: name a file with --out')
    }
    const filter = { fromMs, toMs, zone }
    const output = { format, out, stdout: process.stdout, warn: terminal.warn }
    process.exitCode = await runExport({ file, ...filter, ...output, signal: stopSignal() })
  })

const deadLetters = program
  .command('deadletters')
  .description(
    'Messages that could not be decoded: list, show, retry or drop them. With --cloud: the ' +
      'records of the dead letter topic, those of consumers included.',
  )

withConfig(deadLetters.command('list'))
  .description('Lists open dead letters: number, time, topic, reason, place, size.')
  .option('--settled', 'also those that were retried or dropped')
  .option('--json', 'one JSON object a line, with every field')
  .action(async ({ config, settled: all = false, json = false }) => {
    const { file } = load(config).outbox
    process.exitCode = await listDeadLetters({ file, all, json, terminal })
  })

withConfig(deadLetters.command('show'))
  .description('Shows all of a dead letter, its bytes as text and in hex.')
  .argument('<numbers...>', 'numbers as in the list', collectNumbers)
  .option('--json', 'one JSON object a line; bytes in base64')
  .action(async (numbers, { config, json = false }) => {
    const { file } = load(config).outbox
    process.exitCode = await showDeadLetters({ file, numbers, json, terminal })
  })

const descriptions = {
  retry: 'Decodes dead letters with the present configuration; those that decode become events.',
  drop: 'Drops dead letters: they stay on record and are never retried.',
}
for (const action of ['retry', 'drop'] as const) {
  withConfig(deadLetters.command(action))
    .description(`${descriptions[action]} The gateway must run.`)
    .argument('[numbers...]', 'numbers as in the list', collectNumbers)
    .option('--all', 'all open dead letters')
    .option('--json', 'one JSON object a line')
    .action(async (given: number[], { config, all = false, json = false }) => {
      if (all === given.length > 0) throw new CannotStart('give numbers, or --all')
      const { outbox, gateway } = load(config)
      const numbers = all ? null : given
      const target = { file: outbox.file, http: gateway.http }
      process.exitCode = await resolveDeadLetters({ action, numbers, ...target, json, terminal })
    })
}

process.umask(0o077)
try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof OutputClosed)) reportError(error as Error & { code?: string })
}

function reportError(error: Error & { code?: string }): void {
  const isForUsers = error instanceof CannotStart || error instanceof CommandFailed
  const isKnown = isForUsers || error.code?.startsWith('SQLITE_')
  process.stderr.write(`${isKnown ? error.message : error.stack}\n`)
  process.exitCode = error instanceof CannotStart ? 2 : 1
}

function load(file: string | undefined): Config {
  const loaded = loadConfig({ file, env: process.env })
  if ('config' in loaded) return loaded.config
  process.stderr.write(`${describeFaults(loaded.faults)}\n`)
  process.exit(2)
}

function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  untilSignal(STOP_MS).then(() => stopping.abort())
  return stopping.signal
}

function parseTime(text: string): number {
  const moment = parseMoment(text, Date.now())
  if (typeof moment === 'number') return moment
  throw new InvalidArgumentError(moment.reason)
}

/** Commander passes the value so far, and does not collect by itself. */
function collectNumbers(text: string, previous: number[] = []): number[] {
  return [...previous, parseCount(text.replace(/^#/, ''))]
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number.')
  return Number(text)
}
