import { compactPartition, firstLooseDay } from './compaction-run.ts'
import { durableFilesystem } from './files/durable-filesystem.ts'
import { listPartitions } from './manifest/day-files.ts'
import { claimPartition } from './partition.ts'

export type CompactArchiveOptions = {
  dir: string
  signal: AbortSignal
  /** Called with a line about files that stay as they are, or about a seal. */
  onMessage(line: string): void
}

/**
 * Compacts all partitions of an archive: merges the files of all dates before today. A member that
 * owns a partition is fenced and claims the partition afterwards. Resolves with the number of
 * replaced files, of new files, and of problems; with null when there is no archive.
 */
export async function compactArchive({ dir, signal, onMessage }: CompactArchiveOptions) {
  const partitions = await listPartitions(dir)
  if (partitions.length === 0) return null
  const total = { replaced: 0, files: 0, problems: 0 }
  for (const partition of partitions) {
    const archive = await claimPartition({
      ...{ dir, partition, disk: durableFilesystem },
      onSealed: (number, day, hash) => onMessage(`partition ${number}: seal of ${day}: ${hash}`),
    })
    const counts = await compactPartition(
      {
        ...{ dir, partition, archive, signal, runAlone: work => work() },
        onProblem(reason) {
          total.problems++
          onMessage(`partition ${partition}: ${reason}`)
        },
      },
      firstLooseDay(1),
    )
    total.replaced += counts.replaced
    total.files += counts.files
  }
  return total
}
