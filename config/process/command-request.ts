const ANSWER_WITHIN_MS = 60_000
/** Where a process is reached that listens on every address. */
const EVERYWHERE: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** What was asked was not done, or nobody knows: the message is for a person. */
export class CommandFailed extends Error {}

/**
 * Asks a running process to do something and gives its answer; null when no process listens there.
 * Rejects with AskFailed when it refuses, something else answers, or nothing in time.
 */
export async function sendCommand(
  http: { host: string; port: number },
  path: string,
  input: object,
): Promise<Record<string, unknown> | null> {
  const host = EVERYWHERE[http.host] ?? http.host
  const at = `http://${host.includes(':') ? `[${host}]` : host}:${http.port}${path}`
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  }
  try {
    const response = await fetch(at, request)
    const text = await response.text()
    if (response.status === 500) throw new CommandFailed(`${at} failed: ${text.trim()}`)
    const answer = JSON.parse(text)
    if (response.ok) return answer
    throw new CommandFailed(`${at} refuses: ${answer.error}`)
  } catch (error) {
    if (error instanceof CommandFailed) throw error
    const { cause, message, name } = error as Error & { cause?: { code?: string } }
    if (cause?.code === 'ECONNREFUSED') return null
    const reason =
      name === 'TimeoutError'
        ? `no answer within ${ANSWER_WITHIN_MS / 1000} s; ask again to see what was done`
        : name === 'SyntaxError'
          ? 'what answers there is no part of this version of Sluice'
          : (cause?.code ?? message)
    throw new CommandFailed(`${at}: ${reason}`, { cause: error })
  }
}
