import { type Command, InvalidArgumentError } from 'commander'
import type { Config } from '../../config/config.ts'
import {
  createProgram,
  requireConfig,
  runCommand,
  withConfig,
} from '../../config/process/command-line.ts'
import { sendCommand } from '../../config/process/command-request.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { MovePartitionsAnswer, ShowPartitionsAnswer } from './partitions-command.ts'
import { describeMove, describeSpread } from './partitions-text.ts'

const { env } = process
const program = createProgram(
  'sluice partitions',
  'Shows or changes over how many partitions zones are spread. The bridge must run.',
)
const shared = (command: Command) =>
  withConfig(command, env).option('--json', 'print the answer as one JSON object')

shared(program.command('show'))
  .description(
    'Shows over how many partitions zones are spread, and how many each topic has in Kafka.',
  )
  .action(({ config, json }) =>
    ask(config, '/partitions', {}, answer =>
      json ? JSON.stringify(answer) : describeSpread(answer as ShowPartitionsAnswer),
    ),
  )

shared(program.command('move'))
  .description(
    'Spreads zones over another number of partitions, from the next stored event on. The bridge ' +
      'delivers all earlier events first, so each zone keeps its order; a restart of the bridge ' +
      'does not change this.',
  )
  .requiredOption(
    '--to <number>',
    'number of partitions; readings and backfill topic must have as many',
    count,
  )
  .action(({ config, json, to }) =>
    ask(config, '/partitions/move', { to }, (answer, { kafka }) =>
      json
        ? JSON.stringify(answer)
        : describeMove(answer as MovePartitionsAnswer, kafka.partitions),
    ),
  )

await runCommand(program)

async function ask(
  file: string | undefined,
  path: string,
  input: object,
  textOf: (answer: object, config: Config) => string,
): Promise<void> {
  const config = requireConfig(file, env)
  const { http } = config.bridge
  const answer = await sendCommand(http, path, input)
  if (!answer) {
    const fault = `no bridge answers at bridge.http = ${http.host}:${http.port}`
    const cure = 'start the bridge with ./sluice bridge and the same --config, then try again'
    throw new CannotStart(`${fault}: ${cure}`)
  }
  process.stdout.write(`${textOf(answer, config)}\n`)
}

function count(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Write a number of partitions.')
  return Number(text)
}
