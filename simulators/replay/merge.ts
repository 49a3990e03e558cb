import type { RecordedReading, Recording } from '../../cloud-bridge/recordings/recording.ts'

export type MergedReading = {
  recording: Recording
  reading: RecordedReading
  /** The time of the row, or, if the row has no time, of the row before it in the same file. */
  timeMs: number
}

/**
 * Merges the rows of several recordings by time. Rows of the same time are in the order of the
 * recordings. Rows of one recording stay in the order of the file, even where the file's times run
 * backwards.
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
