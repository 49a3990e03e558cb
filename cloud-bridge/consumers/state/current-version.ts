import { type ConsumerState, type ConsumerStateAccess, Fenced, type StateStore } from './state.ts'

/**
 * Opens a consumer's state, always in its current version. When another version becomes current,
 * the owners of partitions of the previous version are fenced, and new owners and readers use the
 * new version. The state is opened at the first use.
 */
export function openCurrentVersion(store: StateStore, consumer: string): ConsumerStateAccess {
  let opened: Promise<ConsumerState> | null = null
  /** Partition works can still use these versions until they are fenced. */
  const replaced: Promise<ConsumerState>[] = []
  const current = () => {
    opened ??= store.open(consumer)
    opened.catch(() => {
      opened = null
    })
    return opened
  }
  /**
   * Runs the work, and repeats it once on the current version when the previous version was
   * replaced.
   */
  const onCurrent = async <T>(work: (state: ConsumerState) => Promise<T>): Promise<T> => {
    try {
      return await work(await current())
    } catch (error) {
      if (!(error instanceof Fenced)) throw error
      if (opened) replaced.push(opened)
      opened = null
      return work(await current())
    }
  }
  return {
    claim: partition => onCurrent(state => state.claim(partition)),
    reader: partition => onCurrent(state => state.reader(partition)),
    partitions: () => onCurrent(state => state.partitions()),
    async [Symbol.asyncDispose]() {
      for (const version of [...replaced, ...(opened ? [opened] : [])]) {
        await (await version.catch(() => null))?.[Symbol.asyncDispose]()
      }
    },
  }
}
