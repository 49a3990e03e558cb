import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { type AdminAccess, loadAdminAccess } from '../../config/admin.ts'
import { type Config, type Fault, loadConfig } from '../../config/config.ts'
import { runChecks } from './check-runner.ts'
import { createChecks } from './checks.ts'
import { type Finding, fault, findingLine, ok } from './finding.ts'
import { topicCreationCheck } from './topic-creation.ts'

const FAULTY = 1
const WRONG_CONFIGURATION = 2

const program = new Command('sluice doctor')
  .description(
    'Looks at all that gateway and bridge need, and says what to do where it is missing.',
  )
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .option('--json', 'print one JSON object instead of lines')
  .option('--create-topics', 'first create the topics that are missing')
  .option(
    '--admin <file>',
    'with whose credentials: YAML with kafka.brokers, kafka.sasl, kafka.tls',
  )
  .option('--replication <copies>', 'copies of each created topic; Kafka decides otherwise', count)
  .addHelpText(
    'after',
    `
Exit codes: 0 all is well, or only warnings; 1 something is at fault; 2 wrong configuration.`,
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : WRONG_CONFIGURATION))
  .parse()
const { config: file, json, createTopics, admin, replication } = program.opts<Options>()

if (!createTopics && (admin !== undefined || replication !== undefined)) {
  refuse([{ key: '--admin, --replication', reason: 'need --create-topics', cure: 'Add it' }])
}
const loaded = loadConfig({ file, env: process.env })
const asAdmin = admin === undefined ? { access: {} } : loadAdminAccess(admin)
if ('config' in loaded && 'access' in asAdmin) {
  const found = await run(loaded.config, asAdmin.access)
  const isFaulty = found.some(({ level }) => level === 'FAULT')
  if (json) process.stdout.write(`${JSON.stringify({ ok: !isFaulty, findings: found })}\n`)
  process.exitCode = isFaulty ? FAULTY : 0
} else refuse([loaded, asAdmin].flatMap(one => ('faults' in one ? one.faults : [])))
// A connection that does not come to be may keep the process.
await sleep(50)
process.exit()

async function run(config: Config, access: AdminAccess): Promise<Finding[]> {
  const on = {
    findings: (found: Finding[]) => !json && say(found),
    slow: (what: string[]) => process.stderr.write(`still asking: ${what.join(', ')}\n`),
  }
  const asked = {
    what: 'configuration',
    look: async () => [ok('configuration', file ?? 'the defaults')],
  }
  const creating = createTopics
    ? [topicCreationCheck({ ...config.kafka, ...access }, replication)]
    : []
  const created = await runChecks([asked, ...creating], on)
  return [...created, ...(await runChecks(createChecks(config), on))]
}

/** Tells what is wrong with the configuration, and ends. */
function refuse(faults: readonly Fault[]): never {
  const findings = faults.map(({ key, value, reason, cure, where }) =>
    fault(
      value === undefined ? key : `${key} = ${value}`,
      reason,
      where ? `${cure} (${where})` : cure,
    ),
  )
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, findings })}\n`)
  else say(findings)
  process.exit(WRONG_CONFIGURATION)
}

function say(findings: readonly Finding[]): void {
  for (const finding of findings) process.stdout.write(`${findingLine(finding)}\n`)
}

function count(text: string): number {
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
