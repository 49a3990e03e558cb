import { drawScreen, type ScreenState } from './screen.ts'

const REFRESH_MS = 1000
/** Without a terminal the screen is written once in this many refreshes. */
const REFRESHES_PER_BLOCK = 10

export type DisplayOptions = {
  fetchStates(): Promise<Pick<ScreenState, 'gateway' | 'bridge'>>
  /** Returns a line to show above all other lines, or null for none. */
  notice?: () => Promise<string | null>
  /** Shows only the notice, once, on standard error. */
  quiet?: boolean
}

/**
 * Shows the live screen once a second until disposed: redrawn in place on a terminal, otherwise a
 * block of lines every ten seconds. `say` shows one line of text below the screen.
 */
export function startDisplay({
  fetchStates,
  notice = async () => null,
  quiet = false,
}: DisplayOptions) {
  const { stdout, stderr } = process
  let before: ScreenState | null = null
  let drawnLines = 0
  let refreshes = 0
  let lastMessage = ''
  let hasShownNotice = false

  const show = (lines: string[]) => {
    if (stdout.isTTY) {
      stdout.write(`${drawnLines > 0 ? `\x1b[${drawnLines}A` : ''}\x1b[0J${lines.join('\n')}\n`)
      drawnLines = lines.length
    } else if (refreshes++ % REFRESHES_PER_BLOCK === 0) stdout.write(`${lines.join('\n')}\n`)
  }
  const refresh = async () => {
    const now: ScreenState = { atMs: Date.now(), ...(await fetchStates()) }
    const noticeLine = before ? await notice() : null
    if (quiet) {
      if (noticeLine && !hasShownNotice) stderr.write(`${noticeLine}\n`)
      hasShownNotice ||= noticeLine !== null
    } else {
      const above = noticeLine ? [noticeLine] : []
      const below = lastMessage ? [lastMessage] : []
      show([...above, ...drawScreen(now, before), ...below])
    }
    before = now
  }
  let refreshing = Promise.resolve()
  const timer = setInterval(() => {
    refreshing = refresh()
  }, REFRESH_MS)
  return {
    say(line: string): void {
      lastMessage = line
      if (quiet || !stdout.isTTY) stderr.write(`${line}\n`)
    },
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(timer)
      await refreshing
    },
  }
}
