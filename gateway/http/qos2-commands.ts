import { type CommandHandler, CommandRefused } from '../../config/process/commands.ts'
import { RefusedError } from '../ingest/commit-queue.ts'
import type { Writer } from '../ingest/writer.ts'
import type { UnreleasedRequest } from '../ingest/writer-thread.ts'

/** How many clients one request may name. */
export const CLIENTS_MAX = 100

/**
 * The operator's command on unreleased QoS 2 messages: clear takes `{store}` and `clients` (a list
 * of client ids), `absent: true` (all clients that are not connected) or `all: true`. It answers
 * `{forgotten}`, a number of messages.
 */
export function qos2Commands(
  writer: Pick<Writer, 'store' | 'forgetUnreleased'>,
  connectedClients: () => string[],
): Record<string, CommandHandler> {
  const requestOf = ({ clients, absent, all }: Record<string, unknown>): UnreleasedRequest => {
    if (all === true) return { exceptClients: [] }
    if (absent === true) return { exceptClients: connectedClients() }
    if (areClients(clients)) return { clients }
    throw new CommandRefused(400, `give 1 to ${CLIENTS_MAX} clients, absent: true or all: true`)
  }
  const clear: CommandHandler = async ({ store, ...input }) => {
    if (store !== writer.store) {
      throw new CommandRefused(409, 'this gateway writes another outbox: give its own --config')
    }
    try {
      return { forgotten: await writer.forgetUnreleased(requestOf(input)) }
    } catch (error) {
      if (error instanceof RefusedError) throw new CommandRefused(503, error.message)
      throw error
    }
  }
  return { '/qos2/clear': clear }
}

function areClients(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > CLIENTS_MAX) return false
  return value.every(client => typeof client === 'string')
}
