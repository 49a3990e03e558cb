import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError } from 'commander'
import { type AdminAccess, loadAdminAccess } from '../../config/admin.ts'
import { type Config, type Fault, loadConfig } from '../../config/config.ts'
import { withRunningKafka } from '../../config/local-run.ts'
import { createProgram, withConfig } from '../../config/process/command-line.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { effectTopicsOf } from '../consumers/effect-topics.ts'
import { runChecks } from './check-runner.ts'
import { createChecks } from './checks.ts'
import { type Finding, fault, findingJson, findingLine, ok } from './finding.ts'
import { topicCreationCheck } from './topic-creation.ts'

const program = withConfig(
  createProgram(
    'sluice doctor',
    'Checks all that gateway and bridge need, and names the cure of each fault.',
  ),
  process.env,
)
  .option('--json', 'print one JSON object instead of lines')
  .option('--create-topics', 'first create the missing topics')
  .option('--admin <file>', 'access of an administrator: YAML with kafka.brokers, .sasl, .tls')
  .option(
    '--replication <copies>',
    "replicas of each created topic (default: Kafka's default)",
    parseCount,
  )
  .addHelpText(
    'after',
    `
Exit codes: 0 no faults (there may be warnings); 1 at least one fault; 2 wrong configuration.`,
  )
  .parse()
const { config: file, json, createTopics, admin, replication } = program.opts<Options>()

if (!createTopics && (admin !== undefined || replication !== undefined)) {
  refuse([{ key: '--admin, --replication', reason: 'need --create-topics', cure: 'Add it' }])
}
const loaded = loadConfig({ file, env: process.env })
const adminAccess = admin === undefined ? { access: {} } : loadAdminAccess(admin)
if ('config' in loaded && 'access' in adminAccess) {
  const config = withRunningKafka(loaded.config, line => process.stderr.write(`${line}\n`))
  const findings = await run(config, adminAccess.access)
  const hasFaults = findings.some(({ status }) => status === 'fault')
  if (json) printJson(!hasFaults, findings)
  process.exitCode = exitStatusOf(hasFaults ? 'ERR_NEGATIVE' : 'DONE')
} else {
  refuse([loaded, adminAccess].flatMap(result => ('faults' in result ? result.faults : [])))
}
// A connection that is still being established would keep the process running.
await sleep(50)
process.exit()

async function run(config: Config, access: AdminAccess): Promise<Finding[]> {
  const on = {
    findings: (findings: Finding[]) => !json && printLines(findings),
    slow: (subjects: string[]) => process.stderr.write(`still checking: ${subjects.join(', ')}\n`),
  }
  const configuration = {
    subject: 'configuration',
    run: async () => [ok('configuration', file ?? 'the defaults')],
  }
  const creation = createTopics
    ? [
        topicCreationCheck(
          { ...config.kafka, effectTopics: effectTopicsOf(config), ...access },
          replication,
        ),
      ]
    : []
  const first = await runChecks([configuration, ...creation], on)
  return [...first, ...(await runChecks(createChecks(config), on))]
}

/** Prints the faults of the configuration, and exits. */
function refuse(faults: readonly Fault[]): never {
  const findings = faults.map(({ key, value, reason, cure, where }) =>
    fault(
      value === undefined ? key : `${key} = ${value}`,
      reason,
      where ? `${cure} (${where})` : cure,
    ),
  )
  if (json) printJson(false, findings)
  else printLines(findings)
  process.exit(exitStatusOf('ERR_MISCONFIGURED'))
}

function printJson(isOk: boolean, findings: readonly Finding[]): void {
  process.stdout.write(`${JSON.stringify({ ok: isOk, findings: findings.map(findingJson) })}\n`)
}

function printLines(findings: readonly Finding[]): void {
  for (const finding of findings) process.stdout.write(`${findingLine(finding)}\n`)
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number above 0.')
}

type Options = {
  config?: string
  json?: boolean
  createTopics?: boolean
  admin?: string
  replication?: number
}
