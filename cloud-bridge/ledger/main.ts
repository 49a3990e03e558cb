import { InvalidArgumentError } from 'commander'
import {
  createProgram,
  requireKafkaConfig,
  runCommand,
  withConfig,
} from '../../config/process/command-line.ts'
import { stopSignal } from '../../config/process/lifetime.ts'
import { retireStores } from './retire.ts'
import { verifyLedger } from './verification.ts'

const STOP_MS = 1000
const { env } = process

const program = createProgram(
  'sluice ledger',
  'Proves from Kafka alone that every event was delivered or is explained.',
)

withConfig(program.command('verify'), env)
  .description('Reports up to when each gateway is complete, or lists its gaps.')
  .option('--watch', 'report every few seconds, until Ctrl-C')
  .option('--json', 'print one JSON object instead (with --watch one a line); times in ms')
  .option(
    '--silent-after <seconds>',
    'a gateway without a heartbeat for longer is silent (default: 3 times outbox.heartbeatMs)',
    positive,
  )
  .option(
    '--awaited-for <seconds>',
    'an event that a note names is missing when it has not arrived after this time (default: 300)',
    positive,
  )
  .addHelpText(
    'after',
    `
Times are by the gateway's clock. If that clock is wrong, a time only identifies the heartbeat that
was written then, and the report adds when Kafka stored that heartbeat. Silence is measured by
Kafka's time. No gateway is complete up to a moment in the future.

The dead-letter topic is read for the numbers of the notes in it: kafka.topics.deadletters must be
the topic that the gateways use.

Exit codes:
  0  every gateway is complete up to its newest heartbeat
  1  events are missing, dropped, unexplained, conflicting or retired, as the report says; or notes
     are lost (a dead letter or the explanation of a gap can be among them), even if all events are
     proven.
     A note is lost when its number is in neither the ledger topic nor the dead-letter topic
  2  cannot verify: wrong configuration, Kafka unreachable, topic missing
  3  nothing is missing, but that cannot be proven now: unproven or silent`,
  )
  .action(async ({ config: file, silentAfter, awaitedFor, ...options }) => {
    process.exitCode = await verifyLedger({
      ...options,
      config: requireKafkaConfig(file, env),
      silentAfterMs: silentAfter && silentAfter * 1000,
      awaitedMaxMs: awaitedFor && awaitedFor * 1000,
      isTerminal: process.stderr.isTTY,
      signal: stopSignal(STOP_MS),
      onReport: text => process.stdout.write(`${text}\n`),
      onProblem: line => process.stderr.write(`${line}\n`),
    })
  })

withConfig(program.command('retire <name>'), env)
  .description('Declares that nothing more comes from a store, or from all stores of a gateway.')
  .requiredOption('--reason <text>', 'why, for the report', notBlank)
  .option('--dry-run', 'only say what the retirement would combine into one hole')
  .addHelpText(
    'after',
    `
The name is a gateway's id, or the id of a store as the report prints it, or its beginning.
Everything open in the past of the store becomes one hole with the reason and the date. The verdict
is incomplete while Kafka keeps readings of that time. A store that is heard after the note is
judged again.

Exit codes:
  0  retired
  1  no single store or gateway has the name, or Kafka has heard of no store of the gateway
  2  cannot retire: wrong configuration, Kafka unreachable, topic missing`,
  )
  .action(async (name: string, { config: file, ...options }) => {
    process.exitCode = await retireStores({
      ...options,
      name,
      config: requireKafkaConfig(file, env),
      isTerminal: process.stderr.isTTY,
      signal: stopSignal(STOP_MS),
      onResult: line => process.stdout.write(`${line}\n`),
      onProblem: line => process.stderr.write(`${line}\n`),
    })
  })

await runCommand(program, { unknownErrors: 'ERR_MISCONFIGURED', exits: true })

function positive(text: string): number {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('Write a number of seconds above 0.')
  return Number(text)
}

function notBlank(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Write why the store is retired.')
  return text
}
