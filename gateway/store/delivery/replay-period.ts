/** The `reason` of a replay: the period in which its events were received, in ms since 1970. */
export function replayReason(fromMs: number, toMs: number): string {
  return `replay ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`
}
