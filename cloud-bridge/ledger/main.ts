import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { describeFaults, loadConfig } from '../../config/config.ts'
import { CannotStart, untilSignal } from '../../config/process/lifetime.ts'
import { verifyLedger } from './verification.ts'

const STOP_MS = 1000
const CANNOT_SAY = 2

const program = new Command('sluice ledger')
  .description('The proof of completeness, from what stands in Kafka alone.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : CANNOT_SAY))

program
  .command('verify')
  .description('Says up to when each gateway is complete, or names each hole.')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .option('--watch', 'go on every few seconds, until Ctrl-C')
  .option('--json', 'print one JSON object instead (with --watch one a line); times in ms')
  .option(
    '--silent-after <seconds>',
    'how long a gateway may be without a heartbeat (default: three times outbox.heartbeatMs)',
    positive,
  )
  .addHelpText(
    'after',
    `
Times are the gateway's own. Where its clock was not trusted, such a time only names the heartbeat
that was written then; when Kafka got that is told beside it. Silence is judged by Kafka's time, and
no gateway is complete up to a moment that is yet to come.

Exit codes:
  0  every gateway is complete up to its newest heartbeat
  1  something is missing, or was dropped for a reason that is named; or notes are lost (a dead
     letter may be among them, or why something is gone), even where all events are proven
  2  cannot say: wrong configuration, Kafka away, no such topic
  3  nothing is missing, but it cannot be proven now: unproven or silent`,
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
  const said = error instanceof CannotStart ? error.message : (error as Error).stack
  process.stderr.write(`${said}\n`)
  process.exitCode = CANNOT_SAY
}
// A reading that was broken off may keep the process.
await sleep(50)
process.exit()

function positive(text: string): number {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('Write a number of seconds above 0.')
  return Number(text)
}
