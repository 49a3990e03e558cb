import { Command, InvalidArgumentError } from 'commander'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'
import { CommandFailed, sendCommand } from '../../config/process/command-request.ts'
import { CannotStart, untilSignal } from '../../config/process/lifetime.ts'
import { parseMoment } from '../../config/process/time-argument.ts'
import { replayFromArchive } from './archive-replay.ts'
import type { ReplayAnswer } from './command.ts'

const STOP_MS = 8000
const INTERRUPTED = 130

/** Both ends of a time are told from the same moment. */
const nowMs = Date.now()

const {
  config: file,
  archive,
  topic,
  ...asked
} = new Command('sluice replay')
  .description(
    'Sends events once more, under the same ids, to the topic kafka.topics.backfill. ' +
      'The bridge must run; it keeps at it until all are sent, also when it is started again. ' +
      'With --archive they come from there, and no bridge is needed.',
  )
  .requiredOption('--from <time>', 'received then or later: 2026-05-01T08:00:00Z, -2h, -7d', when)
  .option('--to <time>', 'received before then', when, nowMs)
  .option('--zone <name>', 'only of this zone')
  .option('--archive <dir>', 'send what the consumer `archive` has kept there')
  .option('--topic <name>', 'with --archive: to this topic')
  .option('--json', 'print the answer as one JSON object')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse()
  .opts<Asked>()
const loaded = loadConfig({ file, env: process.env })
if ('faults' in loaded) end(describeFaults(loaded.faults), 2)
if (asked.from >= asked.to) end('--from must be before --to', 2)
if (archive !== undefined) await fromArchive(loaded.config, archive)
if (topic !== undefined) end('--topic goes with --archive: the bridge replays to one topic', 2)

const { http } = loaded.config.bridge
const { json, ...input } = asked
try {
  const answer = await sendCommand(http, '/replay', input)
  if (answer) tell(answer as ReplayAnswer)
  else {
    const which = `no bridge answers at bridge.http = ${http.host}:${http.port}`
    const cure = 'start it with ./sluice bridge and the same --config, and ask again'
    end(`${which}, and only it keeps what is to be sent: ${cure}`, 2)
  }
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error
  end(error.message, 1)
}

type Asked = {
  config?: string
  from: number
  to: number
  zone?: string
  json?: boolean
  archive?: string
  topic?: string
}

async function fromArchive(config: Config, dir: string): Promise<never> {
  const { from: fromMs, to: toMs, zone } = asked
  const to = topic ?? config.kafka.topics.backfill
  const ending = new AbortController()
  untilSignal(STOP_MS).then(() => ending.abort())
  const { signal } = ending
  try {
    const sent = await replayFromArchive({
      ...{ config, dir, fromMs, toMs, zone, topic: to, signal },
      onProblem: line => process.stderr.write(`${line}\n`),
    })
    if (sent === null) end('interrupted: start it again, and all are sent again', INTERRUPTED)
    if (sent === 0) end(`${dir} has nothing of this time: there is nothing to replay`, 1)
    const said = asked.json ? JSON.stringify({ topic: to, events: sent }) : null
    process.stdout.write(`${said ?? `${sent} events went to ${to} once more`}\n`)
    process.exit(0)
  } catch (error) {
    if (error instanceof CannotStart) end(error.message, error.exitCode)
    end((error as Error).message, 1)
  }
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
