import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { describeFaults, loadConfig } from '../../config/config.ts'
import { CannotStart, untilSignal } from '../../config/process/lifetime.ts'
import { verifyLedger } from './verification.ts'

const STOP_MS = 1000
const CANNOT_VERIFY = 2

const program = new Command('sluice ledger')
  .description('Proves from Kafka alone that every event was delivered or is explained.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : CANNOT_VERIFY))

program
  .command('verify')
  .description('Reports up to when each gateway is complete, or lists its gaps.')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .option('--watch', 'report every few seconds, until Ctrl-C')
  .option('--json', 'print one JSON object instead (with --watch one a line); times in ms')
  .option(
    '--silent-after <seconds>',
    'a gateway without a heartbeat for longer is silent (default: 3 times outbox.heartbeatMs)',
    positive,
  )
  .addHelpText(
    'after',
    `
Times are by the gateway's clock. If that clock is wrong, a time only identifies the heartbeat that
was written then, and the report adds when Kafka stored that heartbeat. Silence is measured by
Kafka's time. No gateway is complete up to a moment in the future.

Exit codes:
  0  every gateway is complete up to its newest heartbeat
  1  events are missing or were dropped for a reason that the report names; or notes are lost (a
     dead letter or the explanation of a gap can be among them), even if all events are proven
  2  cannot verify: wrong configuration, Kafka unreachable, topic missing
  3  nothing is missing, but that cannot be proven now: unproven or silent`,
  )
  .action(async ({ config: file, silentAfter, ...options }) => {
    const loaded = loadConfig({ file, env: process.env })
    if ('faults' in loaded) throw new CannotStart(describeFaults(loaded.faults))
    const ending = new AbortController()
    untilSignal(STOP_MS).then(() => ending.abort())
    process.exitCode = await verifyLedger({
      ...options,
      config: loaded.config,
      silentAfterMs: silentAfter && silentAfter * 1000,
      signal: ending.signal,
      onReport: text => process.stdout.write(`${text}\n`),
      onProblem: line => process.stderr.write(`${line}\n`),
    })
  })

try {
  await program.parseAsync()
} catch (error) {
  const text = error instanceof CannotStart ? error.message : (error as Error).stack
  process.stderr.write(`${text}\n`)
  process.exitCode = CANNOT_VERIFY
}
// Gives the output time; then exits, because an aborted read can keep the process alive.
await sleep(50)
process.exit()

function positive(text: string): number {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('Write a number of seconds above 0.')
  return Number(text)
}
