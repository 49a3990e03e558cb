import type { ClockState } from '../../config/event/sensor-reading.ts'

const STEP_MIN_MS = 500
const SEGMENTS_MAX = 1000

/** Events whose `receivedAt` was off: by `offsetMs`, to be added; 0 where it was right. */
export type ClockCorrection = { from: number; to: number; offsetMs: number }

/** Events that were received by one setting of the clock, before it could be trusted. */
type Segment = { from: number; to: number; baseMs: number }

/**
 * Remembers, while the clock cannot be trusted, which events were received by which setting of it,
 * and tells how far each was off once it can, also where it was right, because who reads them waits
 * for that. `baseMs` is the clock on the wall less the one that
 * only runs on, so it changes when the clock is set; `from` to `to` are the events of one commit.
 * A thousand settings are remembered, the oldest forgotten first; a restart forgets them all.
 */
export function createClockCorrections() {
  let segments: Segment[] = []
  return (
    clock: ClockState,
    baseMs: number,
    { from, to }: { from: number; to: number },
  ): ClockCorrection[] => {
    if (clock === 'SYNCED') {
      const known = segments
      segments = []
      return known.map(segment => {
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
