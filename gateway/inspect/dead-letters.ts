import { sendCommand } from '../../config/process/command-request.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Terminal } from '../../config/process/terminal.ts'
import { countText, printable } from '../../config/process/text-format.ts'
import { DEAD_LETTERS_MAX } from '../ingest/dead-letter-retry.ts'
import { type DeadLetterIdentity, deadLetterId } from '../store/notes/dead-letter-id.ts'
import { openDeadLetters, type StoredDeadLetter } from '../store/notes/dead-letters.ts'
import { deadLetterJson, deadLetterLine, deadLetterPage } from './dead-letter-text.ts'
import { noOutboxError } from './tail.ts'

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

/** How an operator names a dead letter: by its number in this outbox, or by its id. */
export type DeadLetterName = number | DeadLetterIdentity

/**
 * Shows dead letters with all fields. Returns the exit code: 1 when this outbox has no dead letter
 * of one of the names.
 */
export async function showDeadLetters({
  names,
  ...options
}: Options & { names: DeadLetterName[] }) {
  const { file, json, terminal } = options
  using letters = openDeadLettersOrFail(file)
  const { found, missing } = findNamed(letters, names)
  for (const letter of found) {
    const text = json ? deadLetterJson(letter) : deadLetterPage(letter).join('\n')
    await terminal.printLine(text)
  }
  for (const reason of missing) terminal.warn(reason)
  return exitStatusOf(missing.length > 0 ? 'ERR_NEGATIVE' : 'DONE')
}

/**
 * Finds dead letters by their names. `missing` has a sentence for each name that is not in this
 * outbox. An id whose number belongs to another dead letter here is missing: after an old image of
 * a card is restored, numbers repeat.
 */
function findNamed(letters: Letters, names: readonly DeadLetterName[]) {
  const found: StoredDeadLetter[] = []
  const missing: string[] = []
  for (const name of names) {
    const identity = typeof name === 'number' ? null : name
    const number = identity?.number ?? (name as number)
    const letter = letters.find(number)
    const shown = identity ? printable(deadLetterId(identity)) : `#${number}`
    if (identity && identity.store !== letters.store) {
      missing.push(`dead letter ${shown} is of another outbox: this outbox is ${letters.store}`)
    } else if (!letter) missing.push(`there is no dead letter ${shown}`)
    else if (identity && identity.run !== letter.run) {
      const other = `#${number} of this outbox is ${letter.id}`
      missing.push(`there is no dead letter ${shown}: ${other}`)
    } else found.push(letter)
  }
  return { found, missing }
}

export type ResolveOptions = Options & {
  action: 'retry' | 'drop'
  /** Null for all open dead letters. */
  names: DeadLetterName[] | null
  http: { host: string; port: number }
}

/**
 * Asks the running gateway, the only writer of the outbox, to retry or drop dead letters. Returns
 * the exit code: 1 when a dead letter is unchanged or not in this outbox. Rejects with CannotStart
 * when no gateway answers.
 */
export async function resolveDeadLetters(options: ResolveOptions): Promise<number> {
  const { file, action, http, json, terminal } = options
  using letters = openDeadLettersOrFail(file)
  const ids = (options.names ?? []).filter(name => typeof name !== 'number')
  const { found, missing } = findNamed(letters, ids)
  // The gateway itself answers for plain numbers.
  const plain = options.names?.filter(name => typeof name === 'number')
  const named = plain && [...plain, ...found.map(({ number }) => number)]
  const numbers = named ?? resolvableNumbers(letters, action)
  for (const reason of missing) terminal.warn(reason)
  const counts: Record<string, number> = { retried: 0, dropped: 0, unchanged: 0 }
  for (let from = 0; from < numbers.length; from += DEAD_LETTERS_MAX) {
    const response = await sendCommand(http, `/deadletters/${action}`, {
      store: letters.store,
      numbers: numbers.slice(from, from + DEAD_LETTERS_MAX),
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
  return exitStatusOf(unchanged! + missing.length > 0 ? 'ERR_NEGATIVE' : 'DONE')
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
function resolvableNumbers(letters: Letters, action: ResolveOptions['action']): number[] {
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

type Letters = ReturnType<typeof openDeadLettersOrFail>

function openDeadLettersOrFail(file: string) {
  const letters = openDeadLetters(file)
  if (!letters) throw noOutboxError(file)
  return { ...letters, [Symbol.dispose]: letters.close }
}
