import { Option } from 'commander'
import {
  countArgument,
  createProgram,
  requireConfig,
  runCommand,
  timeArgument,
  toOption,
  withConfig,
} from '../../config/process/command-line.ts'
import { CannotStart, stopSignal } from '../../config/process/lifetime.ts'
import { createTerminal } from '../../config/process/terminal.ts'
import { CLIENTS_MAX } from '../http/qos2-commands.ts'
import { parseDeadLetterId } from '../store/notes/dead-letter-id.ts'
import {
  type DeadLetterName,
  listDeadLetters,
  resolveDeadLetters,
  showDeadLetters,
} from './dead-letters.ts'
import { runExport } from './export.ts'
import { clearUnreleased, listUnreleased } from './qos2.ts'
import { runTail } from './tail.ts'

const STOP_MS = 5000
const { env } = process
const program = createProgram(
  'sluice',
  'Shows what is stored in the outbox, also while the gateway runs.',
)
/** Relative times of --from and --to refer to the same moment. */
const nowMs = Date.now()
const parseTime = timeArgument(nowMs)
const terminal = createTerminal(process.stdout, process.stderr)

withConfig(program.command('tail'), env)
  .description('Shows the last events as they are stored.')
  .option('--zone <name>', 'only events of this zone')
  .option('--count <number>', 'how many of the last events', countArgument, 10)
  .option('--follow', 'show each new event too, until Ctrl-C')
  .option('--json', 'one JSON object a line, with every field')
  .action(async ({ config, zone, count, follow = false, json = false }) => {
    const { file } = requireConfig(config, env).outbox
    const signal = stopSignal(STOP_MS)
    process.exitCode = await runTail({ file, zone, count, follow, json, signal, terminal })
  })

withConfig(program.command('export'), env)
  .description('Writes the events that were received within a time to a file.')
  .requiredOption(
    '--from <time>',
    'received then or later: 2026-05-01T08:00:00Z, -2h, -7d',
    parseTime,
  )
  .addOption(toOption('received before then', nowMs))
  .option('--zone <name>', 'only events of this zone')
  .addOption(
    new Option('--format <name>', 'JSON lines, or an Avro object container file')
      .choices(['jsonl', 'avro'])
      .default('jsonl'),
  )
  .option('--out <file>', 'a file that does not exist yet; standard output otherwise')
  .action(async ({ config, from: fromMs, to: toMs, zone, format, out }) => {
    const { file } = requireConfig(config, env).outbox
    if (fromMs >= toMs) throw new CannotStart('--from must be before --to')
    if (format === 'avro' && out === undefined && process.stdout.isTTY) {
      throw new CannotStart('Avro is no text for a terminal: name a file with --out')
    }
    const filter = { fromMs, toMs, zone }
    const output = { format, out, stdout: process.stdout, warn: terminal.warn }
    process.exitCode = await runExport({ file, ...filter, ...output, signal: stopSignal(STOP_MS) })
  })

const deadLetters = program
  .command('deadletters')
  .description(
    'Messages that could not be decoded: list, show, retry or drop them. With --cloud: the ' +
      'records of the dead letter topic, those of consumers included.',
  )

withConfig(deadLetters.command('list'), env)
  .description('Lists open dead letters: number, time, topic, reason, place, size.')
  .option('--settled', 'also those that were retried or dropped')
  .option('--json', 'one JSON object a line, with every field')
  .action(async ({ config, settled: all = false, json = false }) => {
    const { file } = requireConfig(config, env).outbox
    process.exitCode = await listDeadLetters({ file, all, json, terminal })
  })

withConfig(deadLetters.command('show'), env)
  .description('Shows all of a dead letter, its bytes as text and in hex.')
  .argument('<numbers...>', 'numbers as in the list, or ids', collectNames)
  .option('--json', 'one JSON object a line; bytes in base64')
  .action(async (names, { config, json = false }) => {
    const { file } = requireConfig(config, env).outbox
    process.exitCode = await showDeadLetters({ file, names, json, terminal })
  })

const descriptions = {
  retry: 'Decodes dead letters with the present configuration; those that decode become events.',
  drop: 'Drops dead letters: they stay on record and are never retried.',
}
for (const action of ['retry', 'drop'] as const) {
  withConfig(deadLetters.command(action), env)
    .description(`${descriptions[action]} The gateway must run.`)
    .argument('[numbers...]', 'numbers as in the list, or ids', collectNames)
    .option('--all', 'all open dead letters')
    .option('--json', 'one JSON object a line')
    .action(async (given: DeadLetterName[], { config, all = false, json = false }) => {
      if (all === given.length > 0)
        throw new CannotStart('give either the numbers of dead letters or --all')
      const { outbox, gateway } = requireConfig(config, env)
      const names = all ? null : given
      const target = { file: outbox.file, http: gateway.http }
      process.exitCode = await resolveDeadLetters({ action, names, ...target, json, terminal })
    })
}

const qos2 = program
  .command('qos2')
  .description(
    'QoS 2 messages that are stored and whose device has not sent PUBREL: list or clear them.',
  )

withConfig(qos2.command('list'), env)
  .description('Lists clients with unreleased QoS 2 messages: client, number, oldest time.')
  .option('--json', 'one JSON object a line')
  .action(async ({ config, json = false }) => {
    const { file } = requireConfig(config, env).outbox
    process.exitCode = await listUnreleased({ file, json, terminal })
  })

withConfig(qos2.command('clear'), env)
  .description(
    'Forgets unreleased QoS 2 messages. No reading is lost; a device that sends a forgotten ' +
      'message again makes a second event. The gateway must run.',
  )
  .argument('[clients...]', 'client ids as in the list')
  .option('--absent', 'of all clients that are not connected')
  .option('--all', 'of all clients')
  .option('--json', 'the result as one JSON object')
  .action(async (clients: string[], { config, absent, all, json = false }) => {
    const given = [clients.length > 0, absent === true, all === true].filter(Boolean).length
    if (given !== 1) throw new CannotStart('give client ids, or --absent, or --all')
    if (clients.length > CLIENTS_MAX) throw new CannotStart(`give at most ${CLIENTS_MAX} clients`)
    const which = absent ? 'absent' : all ? 'all' : clients
    const { outbox, gateway } = requireConfig(config, env)
    const target = { file: outbox.file, http: gateway.http }
    process.exitCode = await clearUnreleased({ which, ...target, json, terminal })
  })

process.umask(0o077)
await runCommand(program)

/**
 * Appends a number or id to the names before it; Commander passes the names so far and does not
 * collect them itself.
 */
function collectNames(text: string, previous: DeadLetterName[] = []): DeadLetterName[] {
  return [...previous, parseDeadLetterId(text) ?? countArgument(text.replace(/^#/, ''))]
}
