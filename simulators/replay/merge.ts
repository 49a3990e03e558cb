import type { RecordedReading, Recording } from './recording.ts'

export interface MergedReading {
  readonly recording: Recording
  readonly reading: RecordedReading
  /** The row's time, or that of the row before it in its file if it has none. */
  readonly timeMs: number
}

/**
 * The rows of several recordings by time; at the same time in the order of the recordings. Within
 * a recording the order is the file's own, even where its clock runs back.
 */
export async function* mergeByTime(
  recordings: readonly Recording[],
): AsyncGenerator<MergedReading, void> {
  const heads: MergedReading[] = []
  const read = async (recording: Recording, timeMs: number) => {
    const { done, value: reading } = await recording.rows.next()
    return done ? undefined : { recording, reading, timeMs: reading.observedAt ?? timeMs }
  }
  for (const recording of recordings) {
    const head = await read(recording, Number.NEGATIVE_INFINITY)
    if (head) heads.push(head)
  }
  while (heads.length > 0) {
    let at = 0
    for (let other = 1; other < heads.length; other++) {
      if (heads[other]!.timeMs < heads[at]!.timeMs) at = other
    }
    const earliest = heads[at]!
    yield earliest
    const following = await read(earliest.recording, earliest.timeMs)
    if (following) heads[at] = following
    else heads.splice(at, 1)
  }
}
