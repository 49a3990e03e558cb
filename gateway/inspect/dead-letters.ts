import { sendCommand } from '../../config/process/command-request.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Terminal } from '../../config/process/terminal.ts'
import { countText, printable } from '../../config/process/text-format.ts'
import { openDeadLetters } from '../store/notes/dead-letters.ts'
import { deadLetterJson, deadLetterLine, deadLetterPage } from './dead-letter-text.ts'
import { noOutboxError } from './tail.ts'

/** How many are asked of the gateway at once; it takes no more than 100. */
const ASKED_AT_ONCE = 100

type Options = { file: string; json: boolean; terminal: Terminal }

/** Lists the dead letters that are open, or all of them. Gives the exit code. */
export async function listDeadLetters({ all, ...options }: Options & { all: boolean }) {
  const { file, json, terminal } = options
  using letters = openAt(file)
  let count = 0
  for (const letter of letters.all()) {
    if (!all && (letter.state === 'retried' || letter.state === 'dropped')) continue
    count++
    await terminal.printLine(json ? deadLetterJson(letter) : deadLetterLine(letter))
  }
  if (!json) terminal.warn(countText(count, 'dead letter'))
  return 0
}

/** Shows all of some dead letters. Gives the exit code: 1 when one is not there. */
export async function showDeadLetters({ numbers, ...options }: Options & { numbers: number[] }) {
  const { file, json, terminal } = options
  using letters = openAt(file)
  let missing = 0
  for (const number of numbers) {
    const letter = letters.find(number)
    if (letter)
      await terminal.printLine(json ? deadLetterJson(letter) : deadLetterPage(letter).join('\n'))
    else {
      missing++
      terminal.warn(`there is no dead letter #${number}`)
    }
  }
  return missing > 0 ? 1 : 0
}

export type ResolveOptions = Options & {
  action: 'retry' | 'drop'
  /** Which ones; null for all that are open. */
  numbers: number[] | null
  http: { host: string; port: number }
}

/**
 * Asks the running gateway, which alone writes the outbox, to retry or drop dead letters. Gives the
 * exit code: 1 when one of them stays as it was. Rejects with CannotStart when no gateway runs.
 */
export async function resolveDeadLetters(options: ResolveOptions): Promise<number> {
  const { file, action, http, json, terminal } = options
  using letters = openAt(file)
  const numbers = options.numbers ?? openOnes(letters, action)
  const counts: Record<string, number> = { retried: 0, dropped: 0, unchanged: 0 }
  for (let from = 0; from < numbers.length; from += ASKED_AT_ONCE) {
    const part = numbers.slice(from, from + ASKED_AT_ONCE)
    const told = await sendCommand(http, `/deadletters/${action}`, {
      store: letters.store,
      numbers: part,
    })
    if (!told) throw notRunning(action, http)
    for (const outcome of told.outcomes as Outcome[]) {
      counts[outcome.outcome]!++
      await terminal.printLine(json ? JSON.stringify(outcome) : outcomeLine(outcome))
    }
  }
  const { retried, dropped, unchanged } = counts
  const done = action === 'retry' ? `${retried} retried` : `${dropped} dropped`
  if (!json) terminal.warn(`${done}, ${unchanged} left as they were`)
  return unchanged! > 0 ? 1 : 0
}

type Outcome = { number: number; outcome: string; sequence?: number; reason?: string }

function outcomeLine({ number, outcome, sequence, reason }: Outcome): string {
  if (outcome === 'retried') return `#${number}  is event #${sequence} now`
  if (outcome === 'dropped') return `#${number}  dropped`
  return `#${number}  left as it was: ${printable(reason ?? '')}`
}

/** All that are open; to retry, those that still have their bytes. */
function openOnes(letters: ReturnType<typeof openAt>, what: ResolveOptions['action']): number[] {
  const numbers: number[] = []
  for (const letter of letters.all()) {
    const isBare = 'payload' in letter && letter.payload === null
    if (letter.state === 'open' && !(what === 'retry' && isBare)) numbers.push(letter.number)
  }
  return numbers
}

function notRunning(what: string, { host, port }: { host: string; port: number }): CannotStart {
  const which = `no gateway answers at gateway.http = ${host}:${port}`
  const cure = 'start it with ./sluice gateway and the same --config, and ask again'
  return new CannotStart(`${which}, and only it writes the outbox: to ${what}, ${cure}`)
}

function openAt(file: string) {
  const letters = openDeadLetters(file)
  if (!letters) throw noOutboxError(file)
  return { ...letters, [Symbol.dispose]: letters.close }
}
