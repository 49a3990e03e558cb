import type { ExitCode } from './exit-codes.ts'

const TIMEOUT_MS = 60_000
/** The address at which this machine reaches a process that listens on all addresses. */
const LOOPBACK_OF: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/**
 * The running process refused the command, or the result of the command is unknown. The message is
 * for a person.
 */
export class CommandFailed extends Error {
  readonly ending: ExitCode = 'ERR_REFUSED'
}

/**
 * Sends a command to a running process and returns its answer; null when no process listens at the
 * address. Rejects with CommandFailed when the process refuses the command, when another program
 * answers, and when no answer arrives within 60 s.
 */
export async function sendCommand(
  http: { host: string; port: number },
  path: string,
  input: object,
): Promise<Record<string, unknown> | null> {
  const host = LOOPBACK_OF[http.host] ?? http.host
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${http.port}${path}`
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }
  try {
    const response = await fetch(url, request)
    const text = await response.text()
    if (response.status === 500) throw new CommandFailed(`${url} failed: ${text.trim()}`)
    const answer = JSON.parse(text)
    if (response.ok) return answer
    throw new CommandFailed(`${url} refuses: ${answer.error}`)
  } catch (error) {
    if (error instanceof CommandFailed) throw error
    const { cause, message, name } = error as Error & { cause?: { code?: string } }
    if (cause?.code === 'ECONNREFUSED') return null
    const reason =
      name === 'TimeoutError'
        ? `no answer within ${TIMEOUT_MS / 1000} s; run the command again to see what was done`
        : name === 'SyntaxError'
          ? 'the program that answers there is not this version of Sluice'
          : `the request failed: ${cause?.code ?? message}`
    throw new CommandFailed(`${url}: ${reason}`, { cause: error })
  }
}
