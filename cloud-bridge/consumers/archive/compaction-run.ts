import { StateUnavailable } from '../state/state.ts'
import { CannotMerge, mergeFiles, planCompaction } from './compaction.ts'
import { utcDateOf } from './files/paths.ts'
import { readChain } from './manifest/hash-chain.ts'
import type { ArchivePartition } from './partition.ts'

const DAY_MS = 86_400_000

export type CompactionOptions = {
  dir: string
  partition: number
  archive: Pick<ArchivePartition, 'replace'>
  /** Runs a change of the partition when no other change runs. */
  runAlone(work: () => Promise<void>): Promise<void>
  /** Ends the compaction between two files. */
  signal: AbortSignal
  /** Called with the reason why some files stay as they are. */
  onProblem(reason: string): void
}

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
  const { named, faults } = await readChain(dir, partition)
  if (faults.length > 0) {
    onProblem(`the manifest is not as it was written: ${faults[0]}`)
    return counts
  }
  for (const files of planCompaction(named.values(), day)) {
    if (signal.aborted) break
    await runAlone(async () => {
      try {
        await archive.replace(await mergeFiles(dir, files))
        counts.replaced += files.length
        counts.files++
      } catch (error) {
        if (!(error instanceof CannotMerge || error instanceof StateUnavailable)) throw error
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
 * The first day whose events are not compacted yet, `afterDays` days after a date ends: with 1, the
 * present day.
 */
export const firstLooseDay = (afterDays: number): string =>
  utcDateOf(Date.now() - (afterDays - 1) * DAY_MS)

/**
 * Creates a function that compacts a partition at its first call of each day; later calls of the
 * day do nothing.
 */
export function createDailyCompaction(
  options: CompactionOptions & { onCompacted(counts: CompactionCounts): void },
  afterDays: number,
): () => Promise<void> {
  let compactedDay = ''
  return async () => {
    const day = firstLooseDay(afterDays)
    if (day === compactedDay) return
    const counts = await compactPartition(options, day)
    if (counts.files > 0) options.onCompacted(counts)
    compactedDay = day
  }
}
