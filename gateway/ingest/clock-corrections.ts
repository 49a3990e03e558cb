import type { ClockState } from '../../config/event/sensor-reading.ts'

const STEP_MIN_MS = 500
const SEGMENTS_MAX = 1000

/**
 * Add `offsetMs` to the `receivedAt` of the events `from` to `to` to correct it. `offsetMs` is 0
 * for events that were received while the clock was right.
 */
export type ClockCorrection = { from: number; to: number; offsetMs: number }

/** Events received under one setting of the untrusted clock. */
type Segment = { from: number; to: number; baseMs: number }

/**
 * Returns a function to be called after each commit. While the clock is not trusted, the function
 * remembers which events were received under which setting of the clock, and returns nothing. Once
 * the clock is trusted, the function returns the corrections of all remembered events. Events whose
 * time was right get a correction of 0, because analytics keeps unsynced readings pending until a
 * correction arrives. `baseMs` is the wall clock minus the monotonic clock, so it changes when the
 * clock is set; `from` to `to` are the events of one commit. At most 1000 clock settings are
 * remembered, the oldest are forgotten first. A restart forgets all clock settings.
 */
export function createClockCorrections() {
  let segments: Segment[] = []
  return (
    clock: ClockState,
    baseMs: number,
    { from, to }: { from: number; to: number },
  ): ClockCorrection[] => {
    if (clock === 'SYNCED') {
      const remembered = segments
      segments = []
      return remembered.map(segment => {
        const offsetMs = Math.round(baseMs - segment.baseMs)
        const { from, to } = segment
        return { from, to, offsetMs: Math.abs(offsetMs) < STEP_MIN_MS ? 0 : offsetMs }
      })
    }
    const last = segments.at(-1)
    if (last && Math.abs(last.baseMs - baseMs) < STEP_MIN_MS) last.to = to
    else segments = [...segments.slice(1 - SEGMENTS_MAX), { from, to, baseMs }]
    return []
  }
}
