import { statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * The directory of the default paths. The first start creates this directory only: another
 * directory may be on a volume that is not mounted.
 */
const DEFAULT_DIRECTORY = 'data'

export type PathFault = { reason: string; cure: string }

const mayCreate = (directory: string): boolean => resolve(directory) === resolve(DEFAULT_DIRECTORY)

/**
 * Returns why no outbox or inbox can be at the path, with the cure; null when the path can be used.
 * `fileName` is the name that the cure proposes for a file in a directory.
 */
export function findPathFault(file: string, fileName: string): PathFault | null {
  const directory = dirname(file)
  try {
    if (kindOf(file) === 'directory') {
      const cure = `Name a file in the directory, such as ${join(file, fileName)}`
      return { reason: 'this path is a directory', cure }
    }
    const kind = kindOf(directory)
    if (kind === 'other') {
      return { reason: `${directory} is not a directory`, cure: 'Name a path in a directory' }
    }
    if (kind === 'directory' || mayCreate(directory)) return null
    const cure = 'Mount its disk, or create the directory'
    return { reason: `the directory ${directory} is not there`, cure }
  } catch (error) {
    return { reason: (error as Error).message, cure: `Let this user read and write ${directory}` }
  }
}

function kindOf(path: string): 'nothing' | 'directory' | 'other' {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (!stats) return 'nothing'
  return stats.isDirectory() ? 'directory' : 'other'
}
