import { exitStatusOf } from '../../../config/process/exit-codes.ts'
import type { Terminal } from '../../../config/process/terminal.ts'
import { countText, printable } from '../../../config/process/text-format.ts'
import type { EventStream } from '../../ports/event-stream.ts'
import { readDeadLetters, type TopicDeadLetter } from './dead-letter-topic.ts'
import type { createResolver, ResolutionAction } from './resolution.ts'
import { deadLetterJson, deadLetterLine, deadLetterPage } from './text.ts'

const BATCH_MAX_LETTERS = 500

type Options = {
  stream: EventStream
  topics: { deadletters: string; ledger: string }
  json: boolean
  terminal: Terminal
}

/** Lists the open dead letters, or all of them. Resolves with the exit code. */
export async function listDeadLetters({ all, ...options }: Options & { all: boolean }) {
  const { stream, topics, json, terminal } = options
  let count = 0
  for await (const letter of readDeadLetters(stream, topics)) {
    if (!all && letter.state !== 'open') continue
    count++
    await terminal.printLine(json ? deadLetterJson(letter) : deadLetterLine(letter))
  }
  if (!json) terminal.warn(countText(count, 'dead letter'))
  return exitStatusOf('DONE')
}

/** Shows dead letters in full. Resolves with the exit code: 1 when one of `ids` does not exist. */
export async function showDeadLetters({ ids, ...options }: Options & { ids: readonly string[] }) {
  const { stream, topics, json, terminal } = options
  const missing = new Set(ids)
  for await (const letter of readDeadLetters(stream, topics)) {
    if (!missing.delete(letter.id)) continue
    await terminal.printLine(json ? deadLetterJson(letter) : deadLetterPage(letter).join('\n'))
  }
  return reportMissing(missing, terminal)
}

export type ResolveOptions = Options & {
  action: ResolutionAction
  /** Null: all open dead letters that the action applies to. */
  ids: readonly string[] | null
  resolve: Awaited<ReturnType<typeof createResolver>>
}

/**
 * Retries or drops dead letters. Resolves with the exit code: 1 when a dead letter stays unchanged
 * or one of `ids` does not exist.
 */
export async function resolveDeadLetters(options: ResolveOptions): Promise<number> {
  const { stream, topics, action, ids, resolve, json, terminal } = options
  const missing = new Set(ids)
  const isSelected = ({ id, state, from }: TopicDeadLetter) =>
    ids ? missing.delete(id) : state === 'open' && (action === 'drop' || from === 'consumer')
  const counts = { resolved: 0, unchanged: 0 }
  const outcome = action === 'retry' ? 'retried' : 'dropped'

  const resolveBatch = async (letters: readonly TopicDeadLetter[]) => {
    const reasons = await resolve(action, letters)
    for (const [index, { id }] of letters.entries()) {
      const reason = reasons[index] ?? null
      counts[reason === null ? 'resolved' : 'unchanged']++
      const result = reason === null ? { id, outcome } : { id, outcome: 'unchanged', reason }
      const text = reason === null ? outcome : `left as it was: ${printable(reason)}`
      await terminal.printLine(json ? JSON.stringify(result) : `${printable(id)}  ${text}`)
    }
  }
  let batch: TopicDeadLetter[] = []
  for await (const letter of readDeadLetters(stream, topics)) {
    if (isSelected(letter)) batch.push(letter)
    if (batch.length < BATCH_MAX_LETTERS) continue
    await resolveBatch(batch)
    batch = []
  }
  await resolveBatch(batch)
  const missingCode = reportMissing(missing, terminal)
  if (!json) terminal.warn(`${counts.resolved} ${outcome}, ${counts.unchanged} left as they were`)
  return exitStatusOf(missingCode === 0 && counts.unchanged === 0 ? 'DONE' : 'ERR_NEGATIVE')
}

function reportMissing(missing: ReadonlySet<string>, terminal: Terminal): number {
  for (const id of missing) terminal.warn(`there is no dead letter ${printable(id)}`)
  return exitStatusOf(missing.size > 0 ? 'ERR_NEGATIVE' : 'DONE')
}
