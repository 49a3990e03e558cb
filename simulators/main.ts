import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { type Config, describeFaults, loadConfig } from '../config/config.ts'
import { CannotStart, untilSignal } from '../config/process/lifetime.ts'
import { runSimulation } from './local/simulation.ts'
import { showStatus } from './local/status.ts'
import { runUp } from './local/up.ts'
import { longRehearsals, rehearsals } from './rehearse/catalogue.ts'
import { rehearse } from './rehearse/rehearse.ts'
import { formatOutcomeTable } from './rehearse/stage/outcome.ts'

const STOP_MS = 10_000
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000 }

const program = new Command('sluice').description('Sluice on one machine.')

const withConfig = (command: Command) =>
  command.option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
const withBuilding = (command: Command) =>
  command
    .option('--rate <readings>', 'readings a second of all devices together', positive, 500)
    .option('--devices <count>', 'simulated devices', wholeNumber, 200)
    .option('--connections <count>', 'MQTT connections of all devices together', wholeNumber, 20)
    .option('--seed <number>', 'the same seed gives the same building and readings', wholeNumber, 1)
    .addOption(new Option('--qos <level>', 'MQTT QoS').choices(['0', '1', '2']).default('1'))

withBuilding(withConfig(program.command('up')))
  .description('Runs the whole pipeline: Kafka, gateway, bridge and a simulated building.')
  .option('--for <time>', 'run this long (30s, 5m, 1h), deliver all, judge, end', timeSpan)
  .option('--json', 'print nothing but the verdict, as one JSON object on the last line')
  .option(
    '--kafka-port <port>',
    'port of the Kafka that is started when none is configured',
    wholeNumber,
    9092,
  )
  .action(async ({ for: durationMs, ...options }) => {
    const run = { ...load(options.config), env: process.env, cacheDir: cacheDir() }
    const simulation = simulationOf(options)
    process.exitCode = await runUp({
      ...{ ...options, ...run, durationMs, simulation },
      signal: stopSignal(),
    })
  })

withBuilding(withConfig(program.command('simulate')))
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
  .option('--host <address>', 'MQTT host; from the configuration otherwise')
  .option('--port <port>', 'MQTT port; from the configuration otherwise', wholeNumber)
  .action(async ({ for: durationMs, ...options }) => {
    const { config } = load(options.config)
    const address = {
      host: options.host ?? config.gateway.mqtt.host,
      port: options.port ?? config.gateway.mqtt.port,
    }
    const signal = stopSignal()
    const simulation = simulationOf(options)
    process.exitCode = await runSimulation({
      ...{ ...options, ...address, durationMs, simulation },
      signal,
    })
  })

withConfig(program.command('status'))
  .description('Shows the live screen of a running gateway and bridge with this configuration.')
  .option('--json', 'print the state once, as one JSON object')
  .action(async options => {
    const { config } = load(options.config)
    process.exitCode = await showStatus({ config, json: options.json, signal: stopSignal() })
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
  .option('--times <count>', 'how often to inject each fault; a few times by default', wholeNumber)
  .option('--seed <number>', 'the same seed injects faults at the same moments', wholeNumber, 1)
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
      env: process.env,
      onProgress: line => process.stderr.write(`${line}\n`),
    })
    const lines = json ? rows.map(row => JSON.stringify(row)).join('\n') : formatOutcomeTable(rows)
    process.stdout.write(`${lines}\n`)
    // In CI a skipped rehearsal is a failure: nobody reads there what was skipped.
    const isAccepted = (row: (typeof rows)[number]) =>
      'skipped' in row ? process.env.CI !== 'true' : row.passed
    process.exitCode = rows.every(isAccepted) ? 0 : 1
  })

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CannotStart)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
// Everything opened is closed now; a socket that lingers must not keep the process alive.
await sleep(50)
process.exit()

function load(file: string | undefined): { config: Config; configFile: string | undefined } {
  const loaded = loadConfig({ file, env: process.env })
  if ('config' in loaded) return { config: loaded.config, configFile: file }
  process.stderr.write(`${describeFaults(loaded.faults)}\n`)
  process.exit(2)
}

function cacheDir(): string {
  return process.env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice')
}

function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  untilSignal(STOP_MS).then(() => stopping.abort())
  return stopping.signal
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

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number.')
  return Number(text)
}

function positive(text: string): number {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('Write a number above 0.')
  return Number(text)
}

function speed(text: string): number {
  return text === 'max' ? Number.POSITIVE_INFINITY : positive(text)
}
