import { Command, InvalidArgumentError, Option } from 'commander'
import { type Config, describeFaults, loadConfig } from '../config.ts'
import { withRunningKafka } from '../local-run.ts'
import { isTopicName, TOPIC_NAME_CURE } from '../value-kinds.ts'
import { type ExitCode, exitCodes, exitStatusOf } from './exit-codes.ts'
import { CannotStart } from './lifetime.ts'
import type { Log } from './log.ts'
import { pause } from './pause.ts'
import { OutputClosed } from './terminal.ts'
import { parseMoment } from './time-argument.ts'

const FLUSH_MS = 50

/**
 * Creates a program whose usage errors end the process with ERR_MISCONFIGURED. From now on a closed
 * output is no error of the process: a command does its work to the end, unless it ends by itself
 * (see `outputClosed`).
 */
export function createProgram(name: string, description: string): Command {
  for (const output of [process.stdout, process.stderr]) output.on('error', exitUnlessClosed)
  return new Command(name)
    .description(description)
    .exitOverride(({ exitCode }) =>
      process.exit(exitStatusOf(exitCode === 0 ? 'DONE' : 'ERR_MISCONFIGURED')),
    )
}

/** Adds the option --config, with SLUICE_CONFIG as its default. */
export const withConfig = (command: Command, env: NodeJS.ProcessEnv) =>
  command.option('--config <file>', 'configuration file (YAML)', env.SLUICE_CONFIG)

/**
 * Loads the configuration. Throws CannotStart with all faults of the configuration when there are
 * any.
 */
export function requireConfig(file: string | undefined, env: NodeJS.ProcessEnv): Config {
  const loaded = loadConfig({ file, env })
  if ('config' in loaded) return loaded.config
  throw new CannotStart(describeFaults(loaded.faults))
}

/**
 * Loads the configuration for a command that reads Kafka. Without configured brokers, the command
 * uses the Kafka of a running `sluice up`, and says so on standard error.
 */
export const requireKafkaConfig = (file: string | undefined, env: NodeJS.ProcessEnv): Config =>
  withRunningKafka(requireConfig(file, env), line => process.stderr.write(`${line}\n`))

export type RunOptions = {
  /** The error code for errors that have no code of their own; ERR_FAILED by default. */
  unknownErrors?: ExitCode
  /** Ends the process after the action, although a socket or an aborted read may still be open. */
  exits?: boolean
}

/**
 * Runs a command line: parses the arguments and waits for the action, which sets process.exitCode.
 * Writes an error to standard error: only its message when the error has one of our error codes or
 * is an error of SQLite, otherwise with its stack. The exit status follows from the error code.
 */
export async function runCommand(
  program: Command,
  { unknownErrors = 'ERR_FAILED', exits = false }: RunOptions = {},
): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    if (!(error instanceof OutputClosed)) {
      process.stderr.write(`${textOf(error)}\n`)
      process.exitCode = exitStatusOf(codeOf(error) ?? unknownErrors)
    }
  }
  if (!exits) return
  await pause(FLUSH_MS)
  process.exit()
}

/** Ends the process when its output cannot be written, except when nobody reads the output. */
function exitUnlessClosed({ code, message }: NodeJS.ErrnoException): void {
  // EIO is the error of a closed terminal.
  if (code !== 'EPIPE' && code !== 'EIO')
    exitWith(`the output cannot be written: ${message}`, 'ERR_FAILED')
}

/**
 * Logs an error that a service cannot survive, and ends the process with the exit status of the
 * error.
 */
export function exitOnError(log: Log, error: unknown): never {
  log.fatal(textOf(error))
  process.exit(exitStatusOf(codeOf(error) ?? 'ERR_FAILED'))
}

/** Writes a message to standard error, and ends the process with the exit status of the code. */
export function exitWith(message: string, code: ExitCode): never {
  process.stderr.write(`${message}\n`)
  process.exit(exitStatusOf(code))
}

/** Returns a parser for an option whose value is a time. Relative times count back from `nowMs`. */
export const timeArgument =
  (nowMs: number, alternative?: { word: string; ms: number }) =>
  (text: string): number => {
    if (text === alternative?.word) return alternative.ms
    const parsed = parseMoment(text, nowMs)
    if (typeof parsed === 'number') return parsed
    throw new InvalidArgumentError(
      alternative ? `${parsed.reason}; or ${alternative.word}.` : parsed.reason,
    )
  }

/** Creates an option `--to` whose default is now. The help shows the word, not a number of ms. */
export const toOption = (description: string, nowMs: number): Option =>
  new Option('--to <time>', description).argParser(timeArgument(nowMs)).default(nowMs, 'now')

/** Parses the value of an option as a whole number of at most 9 digits. */
export function countArgument(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number.')
  return Number(text)
}

/** Returns a parser for an option whose value is a port. Port 0 stands for any free port. */
export const portArgument =
  ({ isZeroAllowed = false } = {}) =>
  (text: string): number => {
    const lowest = isZeroAllowed ? 0 : 1
    const port = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (port >= lowest && port < 65_536) return port
    throw new InvalidArgumentError(`Write a port between ${lowest} and 65535.`)
  }

/** Parses the value of an option as the name of a Kafka topic. */
export function topicArgument(text: string): string {
  if (isTopicName(text)) return text
  throw new InvalidArgumentError(`It is not a topic name that Kafka accepts. ${TOPIC_NAME_CURE}.`)
}

function codeOf(error: unknown): ExitCode | undefined {
  const { ending } = error as { ending?: ExitCode }
  return ending !== undefined && Object.hasOwn(exitCodes, ending) ? ending : undefined
}

function textOf(error: unknown): string {
  const { message, stack, code } = error as Error & { code?: string }
  const isForUsers = codeOf(error) !== undefined || code?.startsWith('SQLITE_')
  return isForUsers ? message : (stack ?? String(error))
}
