import type { Terminal } from '../../../config/process/terminal.ts'
import { countText, printable } from '../../../config/process/text-format.ts'
import type { EventStream } from '../../ports/event-stream.ts'
import { readDeadLetters, type TopicDeadLetter } from './dead-letter-topic.ts'
import type { createResolver } from './resolution.ts'
import { deadLetterJson, deadLetterLine, deadLetterPage } from './text.ts'

const SETTLED_AT_ONCE = 500

type Options = {
  stream: EventStream
  topics: { deadletters: string; ledger: string }
  json: boolean
  terminal: Terminal
}

/** Lists the letters that are open, or all of them. Gives the exit code. */
export async function listDeadLetters({ all, ...options }: Options & { all: boolean }) {
  const { stream, topics, json, terminal } = options
  let count = 0
  for await (const letter of readDeadLetters(stream, topics)) {
    if (!all && letter.state !== 'open') continue
    count++
    await terminal.printLine(json ? deadLetterJson(letter) : deadLetterLine(letter))
  }
  if (!json) terminal.warn(countText(count, 'dead letter'))
  return 0
}

/** Shows all of some letters. Gives the exit code: 1 when one is not there. */
export async function showDeadLetters({ ids, ...options }: Options & { ids: readonly string[] }) {
  const { stream, topics, json, terminal } = options
  const missing = new Set(ids)
  for await (const letter of readDeadLetters(stream, topics)) {
    if (!missing.delete(letter.id)) continue
    await terminal.printLine(json ? deadLetterJson(letter) : deadLetterPage(letter).join('\n'))
  }
  return sayMissing(missing, terminal)
}

export type ResolveOptions = Options & {
  what: 'retry' | 'drop'
  /** Which ones; null for all that are open. */
  ids: readonly string[] | null
  resolve: Awaited<ReturnType<typeof createResolver>>
}

/** Retries or drops letters. Gives the exit code: 1 when one of them stays as it was. */
export async function resolveDeadLetters(options: ResolveOptions): Promise<number> {
  const { stream, topics, what, ids, resolve: settle, json, terminal } = options
  const missing = new Set(ids)
  const isMeant = ({ id, state, from }: TopicDeadLetter) =>
    ids ? missing.delete(id) : state === 'open' && (what === 'drop' || from === 'consumer')
  const counts = { done: 0, unchanged: 0 }
  const outcome = what === 'retry' ? 'retried' : 'dropped'

  const settleSome = async (letters: readonly TopicDeadLetter[]) => {
    const reasons = await settle(what, letters)
    for (const [at, { id }] of letters.entries()) {
      const reason = reasons[at] ?? null
      counts[reason === null ? 'done' : 'unchanged']++
      const told = reason === null ? { id, outcome } : { id, outcome: 'unchanged', reason }
      const left = `left as it was: ${printable(reason ?? '')}`
      const line = `${printable(id)}  ${reason === null ? outcome : left}`
      await terminal.printLine(json ? JSON.stringify(told) : line)
    }
  }
  let some: TopicDeadLetter[] = []
  for await (const letter of readDeadLetters(stream, topics)) {
    if (isMeant(letter)) some.push(letter)
    if (some.length < SETTLED_AT_ONCE) continue
    await settleSome(some)
    some = []
  }
  await settleSome(some)
  const isAllThere = sayMissing(missing, terminal) === 0
  if (!json) terminal.warn(`${counts.done} ${outcome}, ${counts.unchanged} left as they were`)
  return isAllThere && counts.unchanged === 0 ? 0 : 1
}

function sayMissing(missing: ReadonlySet<string>, terminal: Terminal): 0 | 1 {
  for (const id of missing) terminal.warn(`there is no dead letter ${printable(id)}`)
  return missing.size > 0 ? 1 : 0
}
