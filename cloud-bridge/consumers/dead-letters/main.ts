import { Command } from 'commander'
import { type Config, describeFaults, loadConfig } from '../../../config/config.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { pause } from '../../../config/process/pause.ts'
import { createTerminal, OutputClosed } from '../../../config/process/terminal.ts'
import { NoSuchTopic } from '../../kafka/client.ts'
import { createKafkaClient } from '../../kafka/configured-client.ts'
import { listDeadLetters, resolveDeadLetters, showDeadLetters } from './commands.ts'
import { MissingTopic } from './dead-letter-topic.ts'
import { createResolver } from './resolution.ts'

const program = new Command('sluice deadletters')
  .description('Lists, shows, retries and drops the dead letters in Kafka.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
const terminal = createTerminal(process.stdout, process.stderr)

const command = (words: string, description: string) =>
  program
    .command(words)
    .description(description)
    .option('--cloud', 'in Kafka; without it: in the outbox of the gateway')
    .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
    .option('--json', 'one JSON object a line; bytes in base64')

command('list', 'Lists open dead letters: id, time, source, reason, size.')
  .option('--settled', 'also those that were retried or dropped')
  .action(({ config, settled: all = false, json = false }) =>
    run(config, async ({ kafka, stream }) =>
      listDeadLetters({ stream, topics: kafka.topics, all, json, terminal }),
    ),
  )

command('show <ids...>', 'Shows all of a dead letter, its bytes as text and in hex.').action(
  (ids: string[], { config, json = false }) =>
    run(config, async ({ kafka, stream }) =>
      showDeadLetters({ stream, topics: kafka.topics, ids, json, terminal }),
    ),
)

const descriptions = {
  retry: 'Sends the unchanged records of dead letters to all consumers again.',
  drop: 'Drops dead letters: they stay on record and are never retried.',
}
for (const action of ['retry', 'drop'] as const) {
  command(`${action} [ids...]`, descriptions[action])
    .option('--all', 'all open dead letters')
    .action(async (given: string[], { config, all = false, json = false }) => {
      if (all === given.length > 0) return end(new CannotStart('give ids, or --all'))
      const ids = all ? null : given
      await run(config, async ({ kafka, stream, topics: admin, openSink }) => {
        await using sink = openSink()
        const { topics } = kafka
        const { partitionsOf } = admin
        const resolve = await createResolver({ sink, topics, partitionsOf })
        return await resolveDeadLetters({ stream, topics, action, ids, resolve, json, terminal })
      })
    })
}

await program.parseAsync()
// Gives the output time; then exits, because an aborted read can keep the process alive.
await pause(50)
process.exit()

type Context = Awaited<ReturnType<typeof createKafkaClient>> & { kafka: Config['kafka'] }

/** Runs a command on the configured Kafka; a failure becomes one line and an exit code. */
async function run(file: string | undefined, work: (context: Context) => Promise<number>) {
  const loaded = loadConfig({ file, env: process.env })
  if ('faults' in loaded) return end(new CannotStart(describeFaults(loaded.faults)))
  const { kafka } = loaded.config
  const cluster = `Kafka at ${kafka.brokers.join(', ')}`
  try {
    if (kafka.brokers.length === 0) {
      throw new CannotStart('kafka.brokers is not configured: name some brokers, host:port each')
    }
    process.exitCode = await work({ ...(await createKafkaClient(kafka)), kafka })
  } catch (error) {
    if (error instanceof OutputClosed) return
    const { message } = error as Error
    if (error instanceof CannotStart) end(error)
    else if (error instanceof MissingTopic || error instanceof NoSuchTopic) {
      const cure = 'Create it, or set kafka.topics to the topics that the bridge writes'
      end(new CannotStart(`${cluster} has no topic ${kafka.topics.deadletters}. ${cure}`))
    } else end(new CannotStart(`${cluster}: ${message}`, { isTemporary: true }))
  }
}

function end({ message, exitCode }: CannotStart): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = exitCode
}
