import { Command, InvalidArgumentError } from 'commander'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'
import { CommandFailed, sendCommand } from '../../config/process/command-request.ts'
import type { MovePartitionsAnswer, ShowPartitionsAnswer } from './partitions-command.ts'
import { describeMove, describeSpread } from './partitions-text.ts'

const program = new Command('sluice partitions')
  .description('Shows or changes over how many partitions zones are spread. The bridge must run.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
const shared = (command: Command) =>
  command
    .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
    .option('--json', 'print the answer as one JSON object')

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

await program.parseAsync()

async function ask(
  file: string | undefined,
  path: string,
  input: object,
  textOf: (answer: object, config: Config) => string,
): Promise<void> {
  const loaded = loadConfig({ file, env: process.env })
  if ('faults' in loaded) end(describeFaults(loaded.faults), 2)
  const { http } = loaded.config.bridge
  try {
    const answer = await sendCommand(http, path, input)
    if (answer) process.stdout.write(`${textOf(answer, loaded.config)}\n`)
    else {
      const fault = `no bridge answers at bridge.http = ${http.host}:${http.port}`
      end(`${fault}: start it with ./sluice bridge and the same --config, and try again`, 2)
    }
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    end(error.message, 1)
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Write a number of partitions.')
  return Number(text)
}

function end(message: string, code: number): never {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}
