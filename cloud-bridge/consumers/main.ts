import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'
import { CannotStart, untilSignal } from '../../config/process/lifetime.ts'
import { createLog } from '../../config/process/log.ts'
import { parseMoment } from '../../config/process/time-argument.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import { CannotConsume } from '../ports/consumer-group.ts'
import { analytics, archive, type ConsumerDefinition, handlerDefinition } from './catalogue.ts'
import { createConsumerProcess } from './process.ts'
import { reprocess } from './reprocessing.ts'
import type { Handler } from './runtime/keyed-handler.ts'

const STOP_MS = 8000
const handlers = new URL('./handlers/', import.meta.url)

const program = new Command('sluice consume')
  .description('Runs a consumer as a member of its consumer group, until a signal.')
  .argument(
    '<name>',
    'analytics, archive, a file of cloud-bridge/consumers/handlers, or another file',
  )
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .option(
    '--port <number>',
    'port of the HTTP pages, instead of the configured one; 0 for any',
    port,
  )
  .option(
    '--from <time>',
    'rebuild the state from that time (ISO 8601) or "beginning" on, make it current, and end',
    moment,
  )
  .parse()
const [name] = program.args as [string]
const options = program.opts<{ config?: string; port?: number; from?: number }>()
const loaded = loadConfig({ file: options.config, env: process.env })
if ('faults' in loaded) {
  process.stderr.write(`${describeFaults(loaded.faults)}\n`)
  process.exit(2)
}
process.umask(0o077)
await run(loaded.config)
// A timer of a poll can keep the process alive.
process.exit()

async function run(config: Config): Promise<void> {
  const log = createLog(name, config.log.level)
  const ending = new AbortController()
  const end = (message: string, code: number) => {
    log.fatal(message)
    process.exit(code)
  }
  untilSignal(STOP_MS).then(signal => {
    log.info({ signal }, 'stopping')
    ending.abort()
  })
  try {
    if (config.kafka.brokers.length === 0) {
      throw new CannotStart('kafka.brokers is not configured: name some brokers, host:port each')
    }
    const definition = await definitionOf(name)
    const clientId = `sluice-${definition.name}`
    const { signal } = ending
    await using stack = new AsyncDisposableStack()
    const kafka = await createKafkaClient({ ...config.kafka, clientId })
    const runtime = createConsumerProcess({ name: definition.name, config, kafka, log, signal })
    const context = { config, runtime, kafka, stack, log, signal }
    if (options.from !== undefined) {
      await reprocess(definition, context, options.from)
      return
    }
    const opened = await definition.open(context)
    const http = { ...opened.http, ...(options.port !== undefined && { port: options.port }) }
    stack.use(await runtime.serve(http, opened.key, opened.handleRequest))
    await runtime.run(opened.openWork)
  } catch (error) {
    if (error instanceof CannotStart) end(error.message, error.exitCode)
    else if (error instanceof CannotConsume) end(error.message, 2)
    else end((error as Error).stack ?? String(error), 1)
  }
}

/** The consumer of that name. Rejects with CannotStart when there is none. */
async function definitionOf(consumer: string): Promise<ConsumerDefinition> {
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

function moment(text: string): number {
  if (text === 'beginning') return 0
  const parsed = parseMoment(text, Date.now())
  if (typeof parsed === 'number') return parsed
  throw new InvalidArgumentError(`${parsed.reason}; or beginning.`)
}

function port(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 0 && number < 65_536) return number
  throw new InvalidArgumentError('Write a port between 0 and 65535.')
}
