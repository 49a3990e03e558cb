import { sendCommand } from '../../config/process/command-request.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Terminal } from '../../config/process/terminal.ts'
import { countText, printable } from '../../config/process/text-format.ts'
import { openDeadLetters } from '../store/notes/dead-letters.ts'
import { deadLetterJson, deadLetterLine, deadLetterPage } from './dead-letter-text.ts'
import { noOutboxError } from './tail.ts'

/** How many dead letters one request to the gateway names; it accepts at most 100. */
const NUMBERS_PER_REQUEST = 100

type Options = { file: string; json: boolean; terminal: Terminal }

/**
 * Lists the dead letters that are not resolved, or with `all` also the retried and dropped dead
 * letters. Returns the exit code.
 */
export async function listDeadLetters({ all, ...options }: Options & { all: boolean }) {
  const { file, json, terminal } = options
  using letters = openDeadLettersOrFail(file)
  let count = 0
  for (const letter of letters.all()) {
    if (!all && (letter.state === 'retried' || letter.state === 'dropped')) continue
    count++
    await terminal.printLine(json ? deadLetterJson(letter) : deadLetterLine(letter))
  }
  if (!json) terminal.warn(countText(count, 'dead letter'))
  return exitStatusOf('DONE')
}

/**
 * Shows dead letters with all fields. Returns the exit code: 1 when there is no dead letter with
 * one of the numbers.
 */
export async function showDeadLetters({ numbers, ...options }: Options & { numbers: number[] }) {
  const { file, json, terminal } = options
  using letters = openDeadLettersOrFail(file)
  let missing = 0
  for (const number of numbers) {
    const letter = letters.find(number)
    if (letter) {
      const text = json ? deadLetterJson(letter) : deadLetterPage(letter).join('\n')
      await terminal.printLine(text)
    } else {
      missing++
      terminal.warn(`there is no dead letter #${number}`)
    }
  }
  return exitStatusOf(missing > 0 ? 'ERR_NEGATIVE' : 'DONE')
}

export type ResolveOptions = Options & {
  action: 'retry' | 'drop'
  /** Null for all open dead letters. */
  numbers: number[] | null
  http: { host: string; port: number }
}

/**
 * Asks the running gateway, the only writer of the outbox, to retry or drop dead letters. Returns
 * the exit code: 1 when a dead letter is unchanged. Rejects with CannotStart when no gateway
 * answers.
 */
export async function resolveDeadLetters(options: ResolveOptions): Promise<number> {
  const { file, action, http, json, terminal } = options
  using letters = openDeadLettersOrFail(file)
  const numbers = options.numbers ?? resolvableNumbers(letters, action)
  const counts: Record<string, number> = { retried: 0, dropped: 0, unchanged: 0 }
  for (let from = 0; from < numbers.length; from += NUMBERS_PER_REQUEST) {
    const response = await sendCommand(http, `/deadletters/${action}`, {
      store: letters.store,
      numbers: numbers.slice(from, from + NUMBERS_PER_REQUEST),
    })
    if (!response) throw notRunningError(action, http)
    for (const outcome of response.outcomes as Outcome[]) {
      counts[outcome.outcome]!++
      await terminal.printLine(json ? JSON.stringify(outcome) : outcomeLine(outcome))
    }
  }
  const { retried, dropped, unchanged } = counts
  const done = action === 'retry' ? `${retried} retried` : `${dropped} dropped`
  if (!json) terminal.warn(`${done}, ${unchanged} left as they were`)
  return exitStatusOf(unchanged! > 0 ? 'ERR_NEGATIVE' : 'DONE')
}

type Outcome = { number: number; outcome: string; sequence?: number; reason?: string }

function outcomeLine({ number, outcome, sequence, reason }: Outcome): string {
  if (outcome === 'retried') return `#${number}  is event #${sequence} now`
  if (outcome === 'dropped') return `#${number}  dropped`
  return `#${number}  left as it was: ${printable(reason ?? '')}`
}

/**
 * Returns the numbers of all open dead letters; for a retry, only of dead letters that still have
 * their payload.
 */
function resolvableNumbers(
  letters: ReturnType<typeof openDeadLettersOrFail>,
  action: ResolveOptions['action'],
): number[] {
  const numbers: number[] = []
  for (const letter of letters.all()) {
    const hasNoBytes = 'payload' in letter && letter.payload === null
    const canResolve = letter.state === 'open' && !(action === 'retry' && hasNoBytes)
    if (canResolve) numbers.push(letter.number)
  }
  return numbers
}

function notRunningError(
  action: string,
  { host, port }: { host: string; port: number },
): CannotStart {
  return new CannotStart(
    `no gateway answers at gateway.http = ${host}:${port}. To ${action} dead letters needs a ` +
      'running gateway, because only the gateway writes the outbox: start the gateway with ' +
      './sluice gateway and the same --config, then try again',
  )
}

function openDeadLettersOrFail(file: string) {
  const letters = openDeadLetters(file)
  if (!letters) throw noOutboxError(file)
  return { ...letters, [Symbol.dispose]: letters.close }
}
