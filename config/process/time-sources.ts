import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'

/** What can say whether the clock of this machine is right, in the order of the default. */
export const timeSourceNames = ['timesyncd', 'chrony', 'ntpd', 'timedatectl'] as const
export type TimeSource = (typeof timeSourceNames)[number]

/** Which sources are asked in which order, and the file that systemd-timesyncd creates. */
export type ClockOptions = { sources: readonly TimeSource[]; syncedFile: string }

/**
 * The answer of a source: whether the clock is synchronised, or `no answer` when the tool or the
 * daemon is not there.
 */
export type SourceAnswer = 'synchronised' | 'not synchronised' | 'no answer'
export type SourceAnswers = Partial<Record<TimeSource, SourceAnswer>>

/** The first source that answers, null when none does; and the answers of all that were asked. */
export type ClockAnswer = {
  source: TimeSource | null
  isSynchronised: boolean
  answers: SourceAnswers
}

/** Runs a tool without a shell; resolves with its output, null when it fails or is too slow. */
export type RunTool = (file: string, args: readonly string[]) => Promise<string | null>

const TOOL_TIMEOUT_MS = 3000
const OUTPUT_MAX_BYTES = 64 * 1024
/** A clock that is still this far off is not right yet, even when its daemon knows the time. */
const OFFSET_MAX_MS = 1000

export const runTool: RunTool = (file, args) =>
  new Promise(resolve => {
    const limits = { timeout: TOOL_TIMEOUT_MS, maxBuffer: OUTPUT_MAX_BYTES }
    const options = { ...limits, killSignal: 'SIGKILL' } as const
    execFile(file, args, options, (error, stdout) => resolve(error ? null : stdout))
  })

/**
 * Asks the sources in order until one answers whether the clock of this machine is synchronised.
 * Never rejects.
 */
export async function readClock(
  { sources, syncedFile }: ClockOptions,
  run: RunTool = runTool,
): Promise<ClockAnswer> {
  const answers: SourceAnswers = {}
  for (const source of sources) {
    const answer = await askSource(source, syncedFile, run)
    answers[source] = answer
    if (answer !== 'no answer') {
      return { source, isSynchronised: answer === 'synchronised', answers }
    }
  }
  return { source: null, isSynchronised: false, answers }
}

async function askSource(
  source: TimeSource,
  syncedFile: string,
  run: RunTool,
): Promise<SourceAnswer> {
  if (source === 'timesyncd') {
    // While systemd-timesyncd has no time, and on a machine without systemd-timesyncd, the file is
    // missing: only a file is an answer.
    return access(syncedFile).then(
      () => 'synchronised',
      () => 'no answer',
    )
  }
  const [file, args, parse] = TOOLS[source]
  const output = await run(file, args)
  const isSynchronised = output === null ? null : parse(output)
  if (isSynchronised === null) return 'no answer'
  return isSynchronised ? 'synchronised' : 'not synchronised'
}

/** Each tool: its arguments, and how its output is read; null: the output is no answer. */
const TOOLS: Record<
  Exclude<TimeSource, 'timesyncd'>,
  readonly [file: string, args: readonly string[], parse: (output: string) => boolean | null]
> = {
  chrony: ['chronyc', ['-c', 'tracking'], parseChrony],
  ntpd: ['ntpq', ['-c', 'rv'], parseNtpq],
  timedatectl: ['timedatectl', ['show', '-p', 'NTPSynchronized'], parseTimedatectl],
}

/** chrony's own clock as the reference (`local stratum`): it follows nothing. */
const CHRONY_LOCAL = '7F7F0101'

/**
 * `chronyc -c tracking`: fields between commas, the reference first, the offset of the system clock
 * in seconds fifth, and the leap status last (chronyc(1)).
 */
function parseChrony(output: string): boolean | null {
  const fields = output.trim().split(',')
  if (fields.length < 14) return null
  const offsetMs = Math.abs(Number(fields[4])) * 1000
  const isLeapKnown = /^(Normal|Insert second|Delete second)$/.test(fields.at(-1)!)
  return isLeapKnown && fields[0] !== CHRONY_LOCAL && offsetMs <= OFFSET_MAX_MS
}

/**
 * `ntpq -c rv`: the system variables of ntpd; `leap` 11 and stratum 16 mean that ntpd has no time
 * (ntpq(8), RFC 5905 section 7.3), and the offset is in ms.
 */
function parseNtpq(output: string): boolean | null {
  const leap = /\bleap=(\d+)/.exec(output)?.[1]
  if (leap === undefined) return null
  const stratum = Number(/\bstratum=(\d+)/.exec(output)?.[1] ?? 16)
  const offsetMs = Math.abs(Number(/\boffset=([-+.\d]+)/.exec(output)?.[1] ?? 0))
  const followsNothing = /\bsync_(unspec|local)\b/.test(output)
  return leap !== '11' && stratum < 16 && !followsNothing && offsetMs <= OFFSET_MAX_MS
}

/** `timedatectl show`: the kernel's flag, which any time daemon sets. */
function parseTimedatectl(output: string): boolean | null {
  const value = /^NTPSynchronized=(yes|no)$/m.exec(output)?.[1]
  return value === undefined ? null : value === 'yes'
}

/** What an operator can do about a clock that no source confirms; fits the daemon that is there. */
export function clockCure({ source, answers }: ClockAnswer): string {
  if (source === 'chrony') return 'chrony runs and has no time: see chronyc sources'
  if (source === 'ntpd') return 'ntpd runs and has no time: see ntpq -p'
  if (source === 'timedatectl') {
    return 'Let a time daemon set it: timedatectl set-ntp true, and see timedatectl timesync-status'
  }
  const asked = Object.keys(answers).join(', ')
  return (
    `No time daemon answers (${asked}): start systemd-timesyncd, chrony or ntpd. In a container, ` +
    'mount /run/systemd/timesync of the host and name the file in gateway.clock.syncedFile'
  )
}
