import { InvalidArgumentError, Option } from 'commander'
import {
  createProgram,
  exitWith,
  requireConfig,
  requireKafkaConfig,
  runCommand,
  topicArgument,
  withConfig,
} from '../../config/process/command-line.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart, stopSignal } from '../../config/process/lifetime.ts'
import { countText, printable, timeText } from '../../config/process/text-format.ts'
import type { RecordingError } from '../recordings/cells.ts'
import { checkRecordings, type ImportCounts } from './import.ts'
import { importToKafka } from './import-to-kafka.ts'
import type { ColumnMapping } from './imported-event.ts'

const STOP_MS = 8000
const FAULTS_SHOWN_MAX = 20
const PROGRESS_EVERY_MS = 5000

const { env } = process
const program = createProgram(
  'sluice import',
  'Sends recordings to a topic of their own in Kafka, with the times of the recordings: CSV ' +
    'files, Parquet files, and folders of the consumer `archive`. A second import of the same ' +
    'recordings sends nothing twice.',
)
withConfig(program, env)
  .argument('<paths...>', 'CSV recordings, .parquet files, or archives')
  .option('--topic <name>', 'the topic (default: consumers.importTopic)', topicArgument)
  .option('--dry-run', 'read everything, report faults and counts, and send nothing')
  .option('--skip-faulty', 'leave out rows with faults; otherwise one fault stops the import')
  .option('--site <name>', 'site of the recorded devices', 'recording')
  .option('--zone <name>', "zone of the recorded devices; the file's name otherwise")
  .option('--device <name>', "name of the recorded device; the file's name otherwise")
  .option('--time-column <name>', 'the column of times, if not time, date or ts')
  .option('--text-columns <names...>', 'columns that contain text, not numbers')
  .option('--columns <column=metric...>', 'import only these columns, under these names', metric)
  .option('--site-column <name>', 'the column with the site of each row')
  .option('--zone-column <name>', 'the column with the zone of each row')
  .option('--device-column <name>', 'the column with the device of each row')
  .option('--metric-column <name>', 'one measurement a row: the column with its name')
  .option('--value-column <name>', 'one measurement a row: the column with its value')
  .option('--unit-column <name>', 'one measurement a row: the column with its unit')
  .addOption(
    new Option('--decimal <mark>', 'the decimal mark of all numbers').choices(['point', 'comma']),
  )
  .option('--json', 'print the counts as one JSON object')
  .action(async (paths: string[], options: Options) => {
    const { dryRun = false, skipFaulty = false } = options
    const config = (dryRun ? requireConfig : requireKafkaConfig)(options.config, env)
    const { topic = config.consumers.importTopic } = options
    const mapping = mappingOf(options)
    const { site, zone, device, timeColumn, textColumns, decimal } = options
    const columns = { site, zone, device, timeColumn, textColumns, decimal }
    const onFault = createFaultReport()
    const counts = dryRun
      ? await checkRecordings({ paths, mapping, ...columns, onFault })
      : await importToKafka({
          ...{ config, paths, mapping, columns, topic, onFault },
          ...{ skipsFaults: skipFaulty, signal: stopSignal(STOP_MS) },
          onProgress: createProgressReport(),
          onMessage: say,
        })
    if (!counts)
      exitWith('interrupted: run the command again, it sends the rest', 'ERR_INTERRUPTED')
    const result = { topic: dryRun ? null : topic, ...counts }
    process.stdout.write(`${options.json ? JSON.stringify(result) : textOf(counts, topic)}\n`)
    const isComplete = counts.faulty === 0 && counts.rejected === 0
    process.exitCode = exitStatusOf(isComplete ? 'DONE' : 'ERR_NEGATIVE')
  })

type Options = ColumnOptions & {
  config?: string
  topic?: string
  dryRun?: boolean
  skipFaulty?: boolean
  json?: boolean
  site?: string
  zone?: string
  device?: string
  timeColumn?: string
  textColumns?: string[]
  decimal?: 'point' | 'comma'
}
type ColumnOptions = Omit<ColumnMapping, 'metrics'> & { columns?: Map<string, string> }

await runCommand(program, { exits: true })

function mappingOf(options: ColumnOptions): ColumnMapping {
  const { siteColumn, zoneColumn, deviceColumn, metricColumn, valueColumn, unitColumn } = options
  if ((metricColumn === undefined) !== (valueColumn === undefined)) {
    throw new CannotStart('--metric-column and --value-column belong together: give both')
  }
  if (valueColumn !== undefined && options.columns) {
    throw new CannotStart('--columns is for rows with several measurements: leave it out')
  }
  const address = { siteColumn, zoneColumn, deviceColumn }
  return { ...address, metricColumn, valueColumn, unitColumn, metrics: options.columns }
}

/** Adds `column=metric` to the mappings before. */
function metric(text: string, previous = new Map<string, string>()): Map<string, string> {
  const [, column, name] = /^(.+)=(.+)$/.exec(text) ?? []
  if (column === undefined) throw new InvalidArgumentError('Write column=metric.')
  return previous.set(column, name!)
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Shows the first faults; the counts have the others. */
function createFaultReport() {
  let count = 0
  return (fault: RecordingError) => {
    count++
    if (count <= FAULTS_SHOWN_MAX) say(printable(fault.message))
    if (count === FAULTS_SHOWN_MAX + 1) say('further faults are only counted')
  }
}

function createProgressReport() {
  let shownMs = performance.now()
  return ({ rows, sent }: ImportCounts) => {
    if (performance.now() - shownMs < PROGRESS_EVERY_MS) return
    shownMs = performance.now()
    say(`read ${countText(rows, 'row')}, sent ${countText(sent, 'event')}`)
  }
}

function textOf(counts: ImportCounts, topic: string): string {
  const { rows, faulty, empty, known, sent, rejected, fromMs, toMs } = counts
  const span = fromMs === null ? '' : `, from ${timeText(fromMs)} to ${timeText(toMs!)}`
  const parts = [
    `read ${countText(rows, 'row')}${span}`,
    faulty > 0 && `${countText(faulty, 'row has', 'rows have')} faults`,
    empty > 0 && `${countText(empty, 'row has', 'rows have')} no measurement`,
    known > 0 &&
      `${countText(known, 'event is', 'events are')} in ${topic} already or repeated in the files`,
    `sent ${countText(sent, 'event')} to ${topic}`,
    rejected > 0 && `Kafka rejected ${countText(rejected, 'event')}`,
  ]
  return parts.filter(part => part !== false).join('\n')
}
