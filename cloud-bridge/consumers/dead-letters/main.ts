import type { Config } from '../../../config/config.ts'
import {
  createProgram,
  requireKafkaConfig,
  runCommand,
  withConfig,
} from '../../../config/process/command-line.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { createTerminal, OutputClosed } from '../../../config/process/terminal.ts'
import { NoSuchTopic } from '../../kafka/client.ts'
import { createCommandClient } from '../../kafka/configured-client.ts'
import { describeError } from '../../kafka/errors.ts'
import { listDeadLetters, resolveDeadLetters, showDeadLetters } from './commands.ts'
import { MissingTopic } from './dead-letter-topic.ts'
import { createResolver } from './resolution.ts'

const { env } = process
const program = createProgram(
  'sluice deadletters',
  'Lists, shows, retries and drops the dead letters in Kafka.',
)
const terminal = createTerminal(process.stdout, process.stderr)

const command = (words: string, description: string) =>
  withConfig(program.command(words), env)
    .description(description)
    .option('--cloud', 'in Kafka; without it: in the outbox of the gateway')
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
      if (all === given.length > 0)
        throw new CannotStart('give either the ids of dead letters or --all')
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

await runCommand(program, { exits: true })

type Context = Awaited<ReturnType<typeof createCommandClient>> & { kafka: Config['kafka'] }

/** Runs a command against the configured Kafka cluster. An error of Kafka counts as temporary. */
async function run(file: string | undefined, work: (context: Context) => Promise<number>) {
  const { kafka } = requireKafkaConfig(file, env)
  const cluster = `Kafka at ${kafka.brokers.join(', ')}`
  if (kafka.brokers.length === 0) {
    throw new CannotStart('kafka.brokers is not configured: name some brokers, host:port each')
  }
  try {
    const client = await createCommandClient(kafka, terminal.warn)
    process.exitCode = await work({ ...client, kafka })
  } catch (error) {
    if (error instanceof OutputClosed || error instanceof CannotStart) throw error
    if (error instanceof MissingTopic || error instanceof NoSuchTopic) {
      const cure = 'Create it, or set kafka.topics to the topics that the bridge writes'
      throw new CannotStart(`${cluster} has no topic ${kafka.topics.deadletters}. ${cure}`)
    }
    const reason = describeError(error, kafka.brokers)
    throw new CannotStart(`${cluster} cannot be read: ${reason}`, { isTemporary: true })
  }
}
