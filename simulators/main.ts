import { homedir } from 'node:os'
import { join } from 'node:path'
import { Argument, type Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/config.ts'
import {
  countArgument,
  createProgram,
  portArgument,
  requireConfig,
  runCommand,
  withConfig,
} from '../config/process/command-line.ts'
import { exitStatusOf } from '../config/process/exit-codes.ts'
import { keepHeapSmall } from '../config/process/heap.ts'
import { stopSignal } from '../config/process/lifetime.ts'
import { outputClosed } from '../config/process/terminal.ts'
import { runSimulation } from './local/simulation.ts'
import { showStatus } from './local/status.ts'
import { runUp } from './local/up.ts'
import { longRehearsals, rehearsals } from './rehearse/catalogue.ts'
import { rehearse } from './rehearse/rehearse.ts'
import { formatOutcomeTable } from './rehearse/stage/outcome.ts'

/** Devices, two consumers, gateway, bridge and Kafka stop one after the other. */
const STOP_MS = 40_000
/** The options of `simulate` that a replay does not use, and those that only a replay uses. */
const BUILDING_ONLY = ['rate', 'devices', 'seed']
const RECORDINGS_ONLY = ['speed', 'site', 'timeColumn', 'textColumns', 'decimal']
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000 }

const { env } = process
const program = createProgram('sluice', 'Sluice on one machine.')

const withBuilding = (command: Command) =>
  command
    .option('--rate <readings>', 'readings a second of all devices together', positive, 500)
    .option('--devices <count>', 'simulated devices', countArgument, 200)
    .option('--connections <count>', 'MQTT connections of all devices together', countArgument, 20)
    .option(
      '--seed <number>',
      'the same seed gives the same building and readings',
      countArgument,
      1,
    )
    .addOption(new Option('--qos <level>', 'MQTT QoS').choices(['0', '1', '2']).default('1'))

withBuilding(withConfig(program.command('up'), env))
  .description('Runs the whole pipeline: Kafka, gateway, bridge and a simulated building.')
  .option('--for <time>', 'run this long (30s, 5m, 1h), deliver all, judge, end', timeSpan)
  .option('--json', 'print nothing but the verdict, as one JSON object on the last line')
  .option(
    '--kafka-port <port>',
    'port of the Kafka that is started when none is configured; 0 for any',
    portArgument({ isZeroAllowed: true }),
    9092,
  )
  .action(async ({ for: durationMs, ...options }) => {
    const run = { ...load(options.config), env, cacheDir: cacheDir() }
    keepHeapSmall()
    const simulation = simulationOf(options)
    process.exitCode = await runUp({
      ...{ ...options, ...run, durationMs, simulation },
      signal: stopOrOutputClosed(),
    })
  })

withBuilding(withConfig(program.command('simulate'), env))
  .description('Publishes the readings of a simulated building, or replays recordings (CSV).')
  .option('--for <time>', 'run this long (30s, 5m, 1h); otherwise until Ctrl-C', timeSpan)
  .option('--replay <files...>', 'CSV recordings; the name of a file is its zone and its device')
  .option(
    '--speed <factor>',
    'recorded seconds a second; "max" waits only for acknowledgements',
    speed,
    1,
  )
  .option('--site <name>', 'site of the replayed devices', 'replay')
  .option('--time-column <name>', 'the column of times in recordings, if not time, date or ts')
  .option('--text-columns <names...>', 'columns of recordings that contain text, not numbers')
  .addOption(
    new Option(
      '--decimal <mark>',
      'the decimal mark of all numbers; found from the file otherwise',
    ).choices(['point', 'comma']),
  )
  .option('--host <address>', 'MQTT host; from the configuration otherwise')
  .option('--port <port>', 'MQTT port; from the configuration otherwise', portArgument())
  .action(async ({ for: durationMs, timeColumn, textColumns, decimal, ...options }, command) => {
    refuseUnusedOptions(command)
    const { config } = load(options.config)
    const columns = { timeColumn, textColumns, decimal }
    const address = {
      host: options.host ?? config.gateway.mqtt.host,
      port: options.port ?? config.gateway.mqtt.port,
    }
    const signal = stopSignal(STOP_MS)
    const simulation = simulationOf(options)
    process.exitCode = await runSimulation({
      ...{ ...options, ...address, columns, durationMs, simulation },
      signal,
    })
  })

withConfig(program.command('status'), env)
  .description('Shows the live screen of a running gateway and bridge with this configuration.')
  .option('--json', 'print the state once, as one JSON object')
  .action(async options => {
    const { config } = load(options.config)
    process.exitCode = await showStatus({
      config,
      json: options.json,
      signal: stopOrOutputClosed(),
    })
  })

program
  .command('rehearse')
  .description(
    'Injects faults into gateway and bridge, with simulated devices and a local Kafka, and shows ' +
      'whether anything acknowledged was lost. Runs on temporary data, never on yours.',
  )
  .addArgument(
    new Argument('[faults...]', 'the faults to inject; all of them by default').choices([
      ...Object.keys({ ...rehearsals, ...longRehearsals }),
      'all',
    ]),
  )
  .option(
    '--times <count>',
    'how often to inject each fault; a few times by default',
    countArgument,
  )
  .option('--seed <number>', 'the same seed injects faults at the same moments', countArgument, 1)
  .option('--rate <readings>', 'readings a second of all devices together', positive, 1000)
  .option('--json', 'print one JSON object for each fault instead of the table')
  .action(async (faults: string[], { times, seed, rate, json }) => {
    const isAll = faults.length === 0 || faults.includes('all')
    const rows = await rehearse({
      faults: isAll ? Object.keys(rehearsals) : faults,
      times,
      seed,
      ratePerSecond: rate,
      cacheDir: cacheDir(),
      env,
      onProgress: line => process.stderr.write(`${line}\n`),
    })
    const lines = json ? rows.map(row => JSON.stringify(row)).join('\n') : formatOutcomeTable(rows)
    process.stdout.write(`${lines}\n`)
    // In CI a skipped rehearsal is a failure, because in CI nobody reads the reason for the skip.
    const isAccepted = (row: (typeof rows)[number]) =>
      'skipped' in row ? env.CI !== 'true' : row.passed
    process.exitCode = exitStatusOf(rows.every(isAccepted) ? 'DONE' : 'ERR_NEGATIVE')
  })

// The command has closed everything that it opened; a lingering socket must not delay the end.
await runCommand(program, { exits: true })

/** Ends `simulate` with a usage error when an option is given that this run would not use. */
function refuseUnusedOptions(command: Command): void {
  const isReplay = command.getOptionValue('replay') !== undefined
  const unused = isReplay ? BUILDING_ONLY : RECORDINGS_ONLY
  const given = unused.find(name => command.getOptionValueSource(name) === 'cli')
  if (given === undefined) return
  const flag = command.options.find(option => option.attributeName() === given)?.long
  const cure = isReplay ? 'with --replay' : 'or name recordings with --replay'
  const subject = isReplay ? 'a simulated building' : 'recordings'
  command.error(`error: ${flag} is for ${subject}: leave ${flag} out ${cure}`)
}

/** Aborts at a stop signal, or when nobody reads the screen any more. */
function stopOrOutputClosed(): AbortSignal {
  return AbortSignal.any([stopSignal(STOP_MS), outputClosed(process.stdout)])
}

function load(file: string | undefined): { config: Config; configFile: string | undefined } {
  return { config: requireConfig(file, env), configFile: file }
}

function cacheDir(): string {
  return env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice')
}

type BuildingOptions = {
  rate: number
  devices: number
  connections: number
  seed: number
  qos: string
}

function simulationOf({ rate, qos, devices, connections, seed }: BuildingOptions) {
  return { ratePerSecond: rate, qos: Number(qos) as 0 | 1 | 2, devices, connections, seed }
}

function timeSpan(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? []
  if (!number) throw new InvalidArgumentError('Write a number and s, m or h, such as 30s.')
  return Number(number) * UNITS_MS[unit as keyof typeof UNITS_MS]
}

function positive(text: string): number {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('Write a number above 0.')
  return Number(text)
}

function speed(text: string): number {
  return text === 'max' ? Number.POSITIVE_INFINITY : positive(text)
}
