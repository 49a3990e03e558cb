import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Config } from '../../config/config.ts'
import {
  createProgram,
  exitOnError,
  portArgument,
  requireKafkaConfig,
  runCommand,
  timeArgument,
  topicArgument,
  withConfig,
} from '../../config/process/command-line.ts'
import { keepHeapSmall } from '../../config/process/heap.ts'
import { CannotStart, HANGUP_IGNORED, untilSignal } from '../../config/process/lifetime.ts'
import { createLog } from '../../config/process/log.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import {
  analytics,
  analyticsOf,
  archive,
  type ConsumerDefinition,
  handlerDefinition,
} from './catalogue.ts'
import { createConsumerProcess } from './process.ts'
import { reprocess } from './reprocessing.ts'
import type { Handler } from './runtime/keyed-handler.ts'

const STOP_MS = 8000
const handlers = new URL('./handlers/', import.meta.url)

type Options = { config?: string; port?: number; from?: number; topic?: string }

const program = createProgram(
  'sluice consume',
  'Runs a consumer as a member of its consumer group, until a signal.',
)
withConfig(program, process.env)
  .argument(
    '<name>',
    'analytics, archive, a file of cloud-bridge/consumers/handlers, or another file',
  )
  .option(
    '--port <number>',
    'port of the HTTP pages, instead of the configured one; 0 for any',
    portArgument({ isZeroAllowed: true }),
  )
  .option(
    '--from <time>',
    'rebuild the state from that time (ISO 8601) or "beginning" on, make it current, and end',
    timeArgument(Date.now(), { word: 'beginning', ms: 0 }),
  )
  .option(
    '--topic <name>',
    'analytics only: read this topic, with a state and pages of its own',
    topicArgument,
  )
  .action(async (name: string, options: Options) => {
    const config = requireKafkaConfig(options.config, process.env)
    process.umask(0o077)
    if (process.env.SLUICE_MEMORY === 'small') keepHeapSmall()
    await run(name, config, options)
  })
// The timer of a poll can keep the process alive, so the process exits after its work.
await runCommand(program, { exits: true })

async function run(name: string, config: Config, options: Options): Promise<void> {
  const log = createLog(name, config.log, process.env)
  const ending = new AbortController()
  untilSignal(STOP_MS, () => log.warn(HANGUP_IGNORED)).then(signal => {
    log.info({ signal }, 'stopping')
    ending.abort()
  })
  try {
    if (config.kafka.brokers.length === 0) {
      throw new CannotStart('kafka.brokers is not configured: name some brokers, host:port each')
    }
    const definition = await definitionOf(name, options.topic)
    const clientId = `sluice-${definition.name}`
    const { signal } = ending
    await using stack = new AsyncDisposableStack()
    const kafka = await createKafkaClient({ ...config.kafka, clientId })
    const runtime = createConsumerProcess({
      ...{ name: definition.name, config, kafka, log, signal },
      ...(definition.topics && { topics: definition.topics }),
    })
    const context = { config, runtime, kafka, stack, log, signal }
    if (options.from !== undefined) {
      await reprocess(definition, context, options.from)
      return
    }
    const opened = await definition.open(context)
    const http = { ...opened.http, ...(options.port !== undefined && { port: options.port }) }
    stack.use(await runtime.serve(http, opened.key, opened.handleRequest))
    await runtime.run(opened.openWork, { ...(opened.check && { check: opened.check }) })
  } catch (error) {
    exitOnError(log, error)
  }
}

/** The consumer with that name or file. Rejects with CannotStart when there is no such consumer. */
async function definitionOf(consumer: string, topic?: string): Promise<ConsumerDefinition> {
  if (topic !== undefined) {
    if (consumer === 'analytics') return analyticsOf(topic)
    throw new CannotStart(`--topic is for analytics, not for ${consumer}: leave the option out`)
  }
  if (consumer === 'analytics') return analytics
  if (consumer === 'archive') return archive
  return handlerDefinition(await loadHandler(consumer))
}

async function loadHandler(nameOrFile: string): Promise<Handler<unknown>> {
  const candidates = [new URL(`${nameOrFile}.ts`, handlers), pathToFileURL(resolve(nameOrFile))]
  const file = candidates.find(existsSync)
  const module = file && (await import(file.href))
  if (module?.handler) return module.handler
  const reason = file ? `${nameOrFile} exports no handler` : `there is no consumer ${nameOrFile}`
  throw new CannotStart(
    `${reason}: name analytics, archive, or a file with a handler (see docs/consumers.md)`,
  )
}
