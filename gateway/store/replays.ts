const WORD = 'replay'

/** The kind of the note that says what of a replay was not sent, and why. */
export const NOT_REPLAYED = 'not replayed'

/** Why a range is there that sends once more what was delivered; times in ms since 1970. */
export function replayReason(fromMs: number, toMs: number): string {
  return `${WORD} ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`
}

/** Whether a range sends once more what was delivered: nothing of it waits to be delivered. */
export const isReplay = ({ reason }: { reason?: string }) => reason?.startsWith(`${WORD} `) ?? false
