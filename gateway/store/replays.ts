import type { Range } from './inbox.ts'

const WORD = 'replay'

/** The kind of the note that says what of a replay was not sent, and why. */
export const NOT_REPLAYED = 'not replayed'

/** Why a range is there that sends once more what was delivered; times in ms since 1970. */
export function replayReason(fromMs: number, toMs: number): string {
  return `${WORD} ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`
}

/** Whether a range sends once more what was delivered: nothing of it waits to be delivered. */
export const isReplay = ({ reason }: { reason?: string }) => reason?.startsWith(`${WORD} `) ?? false

/** The zones that a range is limited to, or null for all. */
export function zonesOf({ zones }: Pick<Range, 'zones'>): Set<string> | null {
  return zones === null ? null : new Set(JSON.parse(zones) as string[])
}
