import { sendCommand } from '../../config/process/command-request.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Terminal } from '../../config/process/terminal.ts'
import { countText, printable, timeText } from '../../config/process/text-format.ts'
import { readUnreleased } from '../store/read/unreleased-view.ts'
import { noOutboxError } from './tail.ts'

type Options = { file: string; json: boolean; terminal: Terminal }

/**
 * Lists the clients with unreleased QoS 2 messages, most messages first. Returns the exit code.
 */
export async function listUnreleased({ file, json, terminal }: Options): Promise<number> {
  const { clients } = readUnreleasedOrFail(file)
  for (const entry of clients) {
    const oldest = entry.oldestAt === null ? 'time not known' : `since ${timeText(entry.oldestAt)}`
    const count = countText(entry.messages, 'message')
    const line = `${printable(entry.client)}  ${count}  ${oldest}`
    await terminal.printLine(json ? JSON.stringify(entry) : line)
  }
  if (!json) terminal.warn(countText(clients.length, 'client'))
  return exitStatusOf('DONE')
}

export type ClearOptions = Options & {
  /** Client ids; or all clients that are not connected; or all clients. */
  which: string[] | 'absent' | 'all'
  http: { host: string; port: number }
}

/**
 * Asks the running gateway, the only writer of the outbox, to forget unreleased QoS 2 messages.
 * Returns the exit code: 1 when there was none to forget. Rejects with CannotStart when no gateway
 * answers.
 */
export async function clearUnreleased(options: ClearOptions): Promise<number> {
  const { file, which, http, json, terminal } = options
  const { store } = readUnreleasedOrFail(file)
  const selection = typeof which === 'string' ? { [which]: true } : { clients: which }
  const response = await sendCommand(http, '/qos2/clear', { store, ...selection })
  if (!response) throw notRunningError(http)
  const forgotten = Number(response.forgotten)
  if (json) await terminal.printLine(JSON.stringify({ forgotten }))
  else terminal.warn(`${countText(forgotten, 'QoS 2 message')} forgotten`)
  return exitStatusOf(forgotten > 0 ? 'DONE' : 'ERR_NEGATIVE')
}

function notRunningError({ host, port }: { host: string; port: number }): CannotStart {
  return new CannotStart(
    `no gateway answers at gateway.http = ${host}:${port}, and only the gateway writes the ` +
      'outbox: start it with ./sluice gateway and the same --config, and repeat the command',
  )
}

function readUnreleasedOrFail(file: string) {
  const unreleased = readUnreleased(file)
  if (!unreleased) throw noOutboxError(file)
  return unreleased
}
