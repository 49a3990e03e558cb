/** A line of the file `marks`: the number of a commit before the request, and after its end. */
export type CommitMark = { committing: number } | { committed: number }

/** Creates an empty account of the commits up to one moment; lines must be added in order. */
export function createCommitPromises() {
  const promises = {
    /** The number of the last requested commit. */
    requested: 0,
    /** The number of the last commit that returned. */
    promised: 0,
    addLines(lines: string): void {
      for (const line of lines.split('\n').filter(Boolean)) {
        const mark = JSON.parse(line) as CommitMark
        if ('committing' in mark) promises.requested = mark.committing
        else promises.promised = mark.committed
      }
    },
  }
  return promises
}

export type CommitPromises = ReturnType<typeof createCommitPromises>
