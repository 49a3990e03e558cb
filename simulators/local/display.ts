import { drawScreen, type ScreenState } from './screen.ts'

const EVERY_MS = 1000
const LINE_EVERY = 10

export type DisplayOptions = {
  fetchStates(): Promise<Pick<ScreenState, 'gateway' | 'bridge'>>
  /** A line that stands above all others, or null. */
  notice?: () => Promise<string | null>
  /** Shows only the notice, and that on standard error. */
  quiet?: boolean
}

/**
 * Shows the live screen once a second: redrawn in place on a terminal, otherwise a block of lines
 * every ten seconds. What is said stands below it.
 */
export function startDisplay({
  fetchStates,
  notice = async () => null,
  quiet = false,
}: DisplayOptions) {
  const { stdout, stderr } = process
  let before: ScreenState | null = null
  let drawn = 0
  let turn = 0
  let said = ''
  let noticed = false

  const show = (lines: string[]) => {
    if (stdout.isTTY) {
      stdout.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}\x1b[0J${lines.join('\n')}\n`)
      drawn = lines.length
    } else if (turn++ % LINE_EVERY === 0) stdout.write(`${lines.join('\n')}\n`)
  }
  const look = async () => {
    const now: ScreenState = { atMs: Date.now(), ...(await fetchStates()) }
    const above = before ? await notice() : null
    if (quiet) {
      if (above && !noticed) stderr.write(`${above}\n`)
      noticed ||= above !== null
    } else show([...(above ? [above] : []), ...drawScreen(now, before), ...(said ? [said] : [])])
    before = now
  }
  let looking = Promise.resolve()
  const timer = setInterval(() => {
    looking = look()
  }, EVERY_MS)
  return {
    say(line: string): void {
      said = line
      if (quiet || !stdout.isTTY) stderr.write(`${line}\n`)
    },
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(timer)
      await looking
    },
  }
}
