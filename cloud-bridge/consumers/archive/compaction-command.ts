import { Fenced } from '../state/state.ts'
import { compactPartition, firstUncompactedDay, needsCompaction } from './compaction-run.ts'
import { durableFilesystem } from './files/durable-filesystem.ts'
import { listPartitions } from './manifest/day-files.ts'
import { claimPartition } from './partition.ts'

export type CompactArchiveOptions = {
  dir: string
  signal: AbortSignal
  /** Called with a line about files that stay as they are, or about a seal. */
  onMessage(line: string): void
}

/** The numbers of replaced files, of new files, and of problems. */
export type ArchiveCompaction = { replaced: number; files: number; problems: number }

/** The result of a compaction as a line for an operator; an aborted one `isInterrupted`. */
export function compactionText(
  { replaced, files, problems }: ArchiveCompaction,
  isInterrupted: boolean,
): string {
  if (replaced > 0) return `${replaced} files were merged to ${files} files`
  if (isInterrupted || problems > 0) return 'no files were merged'
  return 'nothing was to be merged: the archive has no small files of earlier dates'
}

/**
 * Compacts all partitions of an archive: merges the files of all dates before today. A member that
 * owns a partition with such files is fenced, and claims the partition at its next commit; when the
 * member does so before the partition is compacted, that is a problem. Resolves with the number of
 * replaced files, of new files, and of problems; with null when there is no archive. An abort ends
 * the compaction between two files.
 */
export async function compactArchive({
  dir,
  signal,
  onMessage,
}: CompactArchiveOptions): Promise<ArchiveCompaction | null> {
  const partitions = await listPartitions(dir)
  if (partitions.length === 0) return null
  const total = { replaced: 0, files: 0, problems: 0 }
  const day = firstUncompactedDay(1)
  for (const partition of partitions) {
    if (signal.aborted) break
    // A fenced member reads its uncommitted events from Kafka again.
    if (!(await needsCompaction(dir, partition, day))) continue
    const archive = await claimPartition({
      ...{ dir, partition, disk: durableFilesystem },
      onSealed: (number, day, hash) => onMessage(`partition ${number}: seal of ${day}: ${hash}`),
    })
    const onProblem = (reason: string) => {
      total.problems++
      onMessage(`partition ${partition}: ${reason}`)
    }
    const lost = new AbortController()
    const runAlone = (work: () => Promise<void>) =>
      work().catch(error => {
        if (!(error instanceof Fenced)) throw error
        onProblem(`${error.message}: run the command again`)
        lost.abort()
      })
    const ending = AbortSignal.any([signal, lost.signal])
    const counts = await compactPartition(
      { dir, partition, archive, signal: ending, runAlone, onProblem },
      day,
    )
    total.replaced += counts.replaced
    total.files += counts.files
  }
  return total
}
