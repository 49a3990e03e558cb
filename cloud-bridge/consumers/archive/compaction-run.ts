import { StateUnavailable } from '../state/state.ts'
import { NotAsCommitted } from './committed-files.ts'
import { CannotMerge, type FilesToMerge, mergeFiles, planCompaction } from './compaction.ts'
import { utcDateDaysAgo } from './files/paths.ts'
import { readChain } from './manifest/hash-chain.ts'
import type { ArchivePartition } from './partition.ts'

export type CompactionOptions = {
  dir: string
  partition: number
  archive: Pick<ArchivePartition, 'replace'>
  /** Runs work on the partition when no change of the partition runs. */
  runAlone(work: () => Promise<void>): Promise<void>
  /** Ends the compaction between two files. */
  signal: AbortSignal
  /** Called with the reason why some files stay as they are. */
  onProblem(reason: string): void
}

/** Whether the files stay as they are because of an error, and the compaction continues. */
const isReasonToStay = (error: unknown): error is Error =>
  [CannotMerge, NotAsCommitted, StateUnavailable].some(reason => error instanceof reason)

/** How many files a compaction replaced, and by how many files. */
export type CompactionCounts = { replaced: number; files: number }

/**
 * Compacts a partition: merges the files of each topic, zone and date before `day` (YYYY-MM-DD).
 * Files that are damaged, and all files while the disk is full, stay as they are.
 */
export async function compactPartition(
  options: CompactionOptions,
  day: string,
): Promise<CompactionCounts> {
  const { dir, partition, archive, runAlone, signal, onProblem } = options
  const counts = { replaced: 0, files: 0 }
  let plan: FilesToMerge[] = []
  // A deletion that waits for its turn would take files away from the plan.
  await runAlone(async () => {
    const { named, faults } = await readChain(dir, partition)
    if (faults.length === 0) plan = planCompaction(named.values(), day)
    else onProblem(`the manifest is not as it was written: ${faults[0]}`)
  })
  for (const files of plan) {
    if (signal.aborted) break
    await runAlone(async () => {
      try {
        await archive.replace(await mergeFiles(dir, files))
        counts.replaced += files.length
        counts.files++
      } catch (error) {
        if (!isReasonToStay(error)) throw error
        onProblem(error.message)
      }
    })
  }
  return counts
}

/**
 * Whether a compaction of a partition has files to merge, or a fault to report. Needs no ownership
 * of the partition, so its owner continues undisturbed.
 */
export async function needsCompaction(
  dir: string,
  partition: number,
  day: string,
): Promise<boolean> {
  const { named, faults } = await readChain(dir, partition)
  return faults.length > 0 || planCompaction(named.values(), day).length > 0
}

/**
 * The first day whose events are not compacted yet, when events are compacted `afterDays` days
 * after their date ends: with 1, the present day.
 */
export const firstUncompactedDay = (afterDays: number): string => utcDateDaysAgo(afterDays - 1)

/**
 * Creates a function that compacts a partition at its first call of each day. Later calls of the
 * day do nothing, and neither do calls while a compaction runs, whose files they would find gone.
 */
export function createDailyCompaction(
  options: CompactionOptions & { onCompacted(counts: CompactionCounts): void },
  afterDays: number,
): () => Promise<void> {
  let compactedDay = ''
  let isRunning = false
  return async () => {
    const day = firstUncompactedDay(afterDays)
    if (isRunning || day === compactedDay) return
    isRunning = true
    const counts = await compactPartition(options, day)
    if (counts.files > 0) options.onCompacted(counts)
    compactedDay = day
    isRunning = false
  }
}
