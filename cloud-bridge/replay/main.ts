import { Command, InvalidArgumentError } from 'commander'
import { describeFaults, loadConfig } from '../../config/config.ts'
import { parseMoment } from '../../config/moment.ts'
import { AskFailed, askToDo } from '../../config/telemetry/ask.ts'
import type { ReplayAnswer } from './command.ts'

/** Both ends of a time are told from the same moment. */
const nowMs = Date.now()

const { config: file, ...asked } = new Command('sluice replay')
  .description(
    'Sends events once more, under the same ids, to the topic kafka.topics.backfill. ' +
      'The bridge must run; it keeps at it until all are sent, also when it is started again.',
  )
  .requiredOption('--from <time>', 'received then or later: 2026-05-01T08:00:00Z, -2h, -7d', when)
  .option('--to <time>', 'received before then', when, nowMs)
  .option('--zone <name>', 'only of this zone')
  .option('--json', 'print the answer as one JSON object')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse()
  .opts<{ config?: string; from: number; to: number; zone?: string; json?: boolean }>()
const loaded = loadConfig({ file, env: process.env })
if ('faults' in loaded) end(describeFaults(loaded.faults), 2)
if (asked.from >= asked.to) end('--from must be before --to', 2)

const { http } = loaded.config.bridge
const { json, ...input } = asked
try {
  const answer = await askToDo(http, '/replay', input)
  if (answer) tell(answer as ReplayAnswer)
  else {
    const which = `no bridge answers at bridge.http = ${http.host}:${http.port}`
    const cure = 'start it with ./sluice bridge and the same --config, and ask again'
    end(`${which}, and only it keeps what is to be sent: ${cure}`, 2)
  }
} catch (error) {
  if (!(error instanceof AskFailed)) throw error
  end(error.message, 1)
}

function tell(answer: ReplayAnswer): void {
  const { topic, runs, waits } = answer
  if (json) process.stdout.write(`${JSON.stringify(answer)}\n`)
  const events = runs.reduce((sum, run) => sum + run.events, 0)
  if (events === 0) {
    const zone = input.zone === undefined ? '' : `, and of zone ${JSON.stringify(input.zone)}`
    end(`nothing that was delivered is of this time${zone}: there is nothing to replay`, 1)
  }
  if (json) return
  const spans = runs.map(({ from, to }) => `#${from} to #${to}`).join(', ')
  const wait = waits === null ? '' : `\nthey wait until Kafka is there: ${waits}`
  process.stdout.write(`${events} events go to ${topic} once more: ${spans}${wait}\n`)
}

function when(text: string): number {
  const moment = parseMoment(text, nowMs)
  if (typeof moment === 'number') return moment
  throw new InvalidArgumentError(moment.reason)
}

function end(message: string, code: number): never {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}
