import { drawScreen, type ScreenHeadings, type ScreenState } from './screen.ts'

const REFRESH_MS = 1000
/** Without a terminal the screen is written once in this many refreshes. */
const REFRESHES_PER_BLOCK = 10
const ERASE_BELOW = '\x1b[0J'
const ERASE_ALL = '\x1b[2J\x1b[3J\x1b[H'

export type DisplayOptions = {
  fetchStates(): Promise<Pick<ScreenState, 'gateway' | 'bridge'>>
  headings: ScreenHeadings
  /** What Ctrl-C does: the last line of the screen on a terminal. */
  onInterrupt: string
  /** Returns a line to show above all other lines, or null for none. */
  notice?: () => Promise<string | null>
  /** Shows only the notice, once, on standard error. */
  quiet?: boolean
}

/**
 * Shows the live screen once a second until disposed: redrawn in place on a terminal, otherwise a
 * block of lines every ten seconds. `say` shows a line that stays, above the screen.
 */
export function startDisplay({
  fetchStates,
  headings,
  onInterrupt,
  notice = async () => null,
  quiet = false,
}: DisplayOptions) {
  const { stdout, stderr } = process
  const frame = createFrame(stdout)
  let before: ScreenState | null = null
  let refreshes = 0
  let hasShownNotice = false
  let isEnded = false

  const refresh = async () => {
    const now: ScreenState = { atMs: Date.now(), ...(await fetchStates()) }
    const noticeLine = before ? await notice() : null
    if (isEnded) return
    if (quiet) {
      if (noticeLine && !hasShownNotice) stderr.write(`${noticeLine}\n`)
      hasShownNotice ||= noticeLine !== null
    } else {
      const lines = [...(noticeLine ? [noticeLine] : []), ...drawScreen(now, before, headings)]
      if (stdout.isTTY) frame.draw([...lines, '', onInterrupt])
      else if (refreshes++ % REFRESHES_PER_BLOCK === 0) stdout.write(`${lines.join('\n')}\n`)
    }
    before = now
  }
  let refreshing = Promise.resolve()
  const timer = setInterval(() => {
    refreshing = refresh()
  }, REFRESH_MS)
  stdout.on('resize', frame.eraseAll)
  return {
    say(line: string): void {
      if (quiet || !stdout.isTTY) stderr.write(`${line}\n`)
      else frame.putAbove(line)
    },
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(timer)
      isEnded = true
      stdout.off('resize', frame.eraseAll)
      await refreshing
    },
  }
}

type Screen = Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows'>

/**
 * Draws lines in place of the lines drawn before. Lines are cut to the width and number of lines of
 * the terminal, because a wrapped or scrolled line could not be erased.
 */
export function createFrame(screen: Screen) {
  let drawn: string[] = []
  const erase = () => (drawn.length > 0 ? `\x1b[${drawn.length}A\r${ERASE_BELOW}` : '')
  const put = (lines: string[]) => {
    drawn = lines
      .slice(0, Math.max(1, (screen.rows || Number.POSITIVE_INFINITY) - 1))
      .map(line => line.slice(0, screen.columns || Number.POSITIVE_INFINITY))
    return drawn.map(line => `${line}\n`).join('')
  }
  return {
    draw: (lines: string[]) => void screen.write(erase() + put(lines)),
    /** Writes a line that stays, above the frame. */
    putAbove: (line: string) => void screen.write(`${erase()}${line}\n${put(drawn)}`),
    /** Erases the terminal, because a resize moves the drawn lines to unknown places. */
    eraseAll() {
      const lines = drawn
      drawn = []
      screen.write(ERASE_ALL + put(lines))
    },
  }
}
