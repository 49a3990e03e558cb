import { Command, InvalidArgumentError } from 'commander'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'
import { CommandFailed, sendCommand } from '../../config/process/command-request.ts'
import { CannotStart, untilSignal } from '../../config/process/lifetime.ts'
import { parseMoment } from '../../config/process/time-argument.ts'
import { replayFromArchive } from './archive-replay.ts'
import type { ReplayAnswer } from './replay-command.ts'

const STOP_MS = 8000
const INTERRUPTED = 130

/** Relative times of --from and --to refer to the same moment. */
const nowMs = Date.now()

const {
  config: file,
  archive,
  topic,
  ...request
} = new Command('sluice replay')
  .description(
    'Sends delivered events a second time, under the same ids, to the topic ' +
      'kafka.topics.backfill. The bridge must run; it continues after a restart until all are ' +
      'sent. With --archive the command sends archived events itself, without a bridge.',
  )
  .requiredOption(
    '--from <time>',
    'received at this time or later: 2026-05-01T08:00:00Z, -2h, -7d',
    parseTime,
  )
  .option('--to <time>', 'received before this time', parseTime, nowMs)
  .option('--zone <name>', 'only events of this zone')
  .option('--archive <dir>', 'send the events that the consumer `archive` stored there')
  .option('--topic <name>', 'with --archive: send to this topic')
  .option('--json', 'print the answer as one JSON object')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse()
  .opts<Options>()
const loaded = loadConfig({ file, env: process.env })
if ('faults' in loaded) end(describeFaults(loaded.faults), 2)
if (request.from >= request.to) end('--from must be before --to', 2)
if (archive !== undefined) await replayArchived(loaded.config, archive)
if (topic !== undefined)
  end('--topic needs --archive: the bridge replays to kafka.topics.backfill', 2)

const { http } = loaded.config.bridge
const { json, ...input } = request
try {
  const answer = await sendCommand(http, '/replay', input)
  if (answer) printAnswer(answer as ReplayAnswer)
  else {
    const fault = `no bridge answers at bridge.http = ${http.host}:${http.port}`
    const cure = 'start it with ./sluice bridge and the same --config, and try again'
    end(`${fault}, and the bridge sends the events: ${cure}`, 2)
  }
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error
  end(error.message, 1)
}

type Options = {
  config?: string
  from: number
  to: number
  zone?: string
  json?: boolean
  archive?: string
  topic?: string
}

async function replayArchived(config: Config, dir: string): Promise<never> {
  const { from: fromMs, to: toMs, zone } = request
  const target = topic ?? config.kafka.topics.backfill
  const ending = new AbortController()
  untilSignal(STOP_MS).then(() => ending.abort())
  const { signal } = ending
  try {
    const sent = await replayFromArchive({
      ...{ config, dir, fromMs, toMs, zone, topic: target, signal },
      onProblem: line => process.stderr.write(`${line}\n`),
    })
    if (sent === null)
      end('interrupted: run the command again; it sends all events again', INTERRUPTED)
    if (sent === 0) end(`${dir} has no events of this time: there is nothing to replay`, 1)
    const text = request.json
      ? JSON.stringify({ topic: target, events: sent })
      : `${sent} events were sent to ${target} again`
    process.stdout.write(`${text}\n`)
    process.exit(0)
  } catch (error) {
    if (error instanceof CannotStart) end(error.message, error.exitCode)
    end((error as Error).message, 1)
  }
}

function printAnswer(answer: ReplayAnswer): void {
  const { topic, runs, waits } = answer
  if (json) process.stdout.write(`${JSON.stringify(answer)}\n`)
  const events = runs.reduce((sum, run) => sum + run.events, 0)
  if (events === 0) {
    const zone = input.zone === undefined ? '' : ` and of zone ${JSON.stringify(input.zone)}`
    end(`no delivered event is of this time${zone}: there is nothing to replay`, 1)
  }
  if (json) return
  const spans = runs.map(({ from, to }) => `#${from} to #${to}`).join(', ')
  const wait = waits === null ? '' : `\nthe events wait until Kafka answers: ${waits}`
  process.stdout.write(`${events} events are sent to ${topic} again: ${spans}${wait}\n`)
}

function parseTime(text: string): number {
  const moment = parseMoment(text, nowMs)
  if (typeof moment === 'number') return moment
  throw new InvalidArgumentError(moment.reason)
}

function end(message: string, code: number): never {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}
