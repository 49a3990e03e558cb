import { type CommandHandler, CommandRefused } from '../../config/process/commands.ts'
import { RefusedError } from '../ingest/commit-queue.ts'
import { DEAD_LETTERS_MAX, type DeadLetterRequest } from '../ingest/dead-letter-retry.ts'
import type { Writer } from '../ingest/writer.ts'

/**
 * The operator's commands on dead letters, by their path: retry and drop take `{store, numbers}`
 * and answer `{outcomes}`. The store id prevents that dead letter numbers of one outbox are used on
 * another outbox.
 */
export function deadLetterCommands(
  writer: Pick<Writer, 'store' | 'resolveDeadLetters'>,
): Record<string, CommandHandler> {
  const commandFor =
    (action: DeadLetterRequest['action']): CommandHandler =>
    async ({ store, numbers }) => {
      if (store !== writer.store) {
        throw new CommandRefused(409, 'this gateway writes another outbox: give its own --config')
      }
      if (!areNumbers(numbers)) {
        throw new CommandRefused(
          400,
          `numbers must be 1 to ${DEAD_LETTERS_MAX} numbers of dead letters`,
        )
      }
      try {
        return { outcomes: await writer.resolveDeadLetters({ action, numbers }) }
      } catch (error) {
        if (error instanceof RefusedError) throw new CommandRefused(503, error.message)
        throw error
      }
    }
  return { '/deadletters/retry': commandFor('retry'), '/deadletters/drop': commandFor('drop') }
}

function areNumbers(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > DEAD_LETTERS_MAX) return false
  return value.every(number => Number.isSafeInteger(number) && number > 0)
}
