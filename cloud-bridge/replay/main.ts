import type { Config } from '../../config/config.ts'
import {
  createProgram,
  exitWith,
  requireKafkaConfig,
  runCommand,
  timeArgument,
  toOption,
  topicArgument,
  withConfig,
} from '../../config/process/command-line.ts'
import { sendCommand } from '../../config/process/command-request.ts'
import { CannotStart, stopSignal } from '../../config/process/lifetime.ts'
import { replayFromArchive } from './archive-replay.ts'
import type { ReplayAnswer } from './replay-command.ts'

const STOP_MS = 8000

const { env } = process
/** Relative times of --from and --to refer to the same moment. */
const nowMs = Date.now()
const parseTime = timeArgument(nowMs)

type Options = {
  config?: string
  from: number
  to: number
  zone?: string
  json?: boolean
  archive?: string
  topic?: string
}

const program = createProgram(
  'sluice replay',
  'Sends delivered events a second time, under the same ids, to the topic ' +
    'kafka.topics.backfill. The bridge must run; it continues after a restart until all are ' +
    'sent. With --archive the command sends archived events itself, without a bridge.',
)
withConfig(program, env)
  .requiredOption(
    '--from <time>',
    'received at this time or later: 2026-05-01T08:00:00Z, -2h, -7d',
    parseTime,
  )
  .addOption(toOption('received before this time', nowMs))
  .option('--zone <name>', 'only events of this zone')
  .option('--archive <dir>', 'send the events that the consumer `archive` stored there')
  .option('--topic <name>', 'with --archive: send to this topic', topicArgument)
  .option('--json', 'print the answer as one JSON object')
  .action(async (options: Options) => {
    const config = requireKafkaConfig(options.config, env)
    if (options.from >= options.to) throw new CannotStart('--from must be before --to')
    if (options.archive !== undefined) await replayArchived(config, options.archive, options)
    else if (options.topic === undefined) await replayThroughBridge(config, options)
    else {
      const cure = 'the bridge replays to kafka.topics.backfill'
      throw new CannotStart(`--topic needs --archive: ${cure}`)
    }
  })
await runCommand(program, { exits: true })

async function replayThroughBridge({ bridge }: Config, options: Options): Promise<void> {
  const { config: _, archive: _archive, topic: _topic, json, ...input } = options
  const { host, port } = bridge.http
  const answer = await sendCommand(bridge.http, '/replay', input)
  if (!answer) {
    const fault = `no bridge answers at bridge.http = ${host}:${port}`
    const reason = 'A replay needs a running bridge, because the bridge sends the events'
    const cure = 'start the bridge with ./sluice bridge and the same --config, then try again'
    throw new CannotStart(`${fault}. ${reason}: ${cure}`)
  }
  printAnswer(answer as ReplayAnswer, options)
}

async function replayArchived(config: Config, dir: string, options: Options): Promise<void> {
  const { from: fromMs, to: toMs, zone } = options
  const topic = options.topic ?? config.kafka.topics.backfill
  const sent = await replayFromArchive({
    ...{ config, dir, fromMs, toMs, zone, topic, signal: stopSignal(STOP_MS) },
    onProblem: line => process.stderr.write(`${line}\n`),
  }).catch(error => {
    if (error instanceof CannotStart) throw error
    throw new CannotStart((error as Error).message, { cause: error, isTemporary: true })
  })
  if (sent === null) {
    exitWith('interrupted: run the command again; it sends all events again', 'ERR_INTERRUPTED')
  }
  if (sent === 0) {
    exitWith(`${dir} has no events of this time: there is nothing to replay`, 'ERR_NEGATIVE')
  }
  const text = options.json
    ? JSON.stringify({ topic, events: sent })
    : `${sent} events were sent to ${topic} again`
  process.stdout.write(`${text}\n`)
}

function printAnswer(answer: ReplayAnswer, { json, zone }: Options): void {
  const { topic, runs, waits } = answer
  if (json) process.stdout.write(`${JSON.stringify(answer)}\n`)
  const events = runs.reduce((sum, run) => sum + run.events, 0)
  if (events === 0) {
    const ofZone = zone === undefined ? '' : ` and of zone ${JSON.stringify(zone)}`
    exitWith(
      `no delivered event is of this time${ofZone}: there is nothing to replay`,
      'ERR_NEGATIVE',
    )
  }
  if (json) return
  const spans = runs.map(({ from, to }) => `#${from} to #${to}`).join(', ')
  const wait = waits === null ? '' : `\nthe events wait until Kafka answers: ${waits}`
  process.stdout.write(`${events} events are sent to ${topic} again: ${spans}${wait}\n`)
}
