import { type ConsumerState, type ConsumerStateAccess, Fenced, type StateStore } from './state.ts'

/**
 * The state of a consumer that goes on in the next version when that is made current: what was
 * claimed of the one before fails, and what is claimed or read from then on is of the new one.
 * Nothing is opened before it is needed.
 */
export function openCurrentVersion(store: StateStore, consumer: string): ConsumerStateAccess {
  let opened: Promise<ConsumerState> | null = null
  /** Works may still hold on to it, until they fail. */
  const replaced: Promise<ConsumerState>[] = []
  const current = () => {
    opened ??= store.open(consumer)
    opened.catch(() => {
      opened = null
    })
    return opened
  }
  /** Once more, on what is current now, when what was has been replaced. */
  const following = async <T>(work: (state: ConsumerState) => Promise<T>): Promise<T> => {
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
    claim: partition => following(state => state.claim(partition)),
    reader: partition => following(state => state.reader(partition)),
    partitions: () => following(state => state.partitions()),
    async [Symbol.asyncDispose]() {
      for (const one of [...replaced, ...(opened ? [opened] : [])]) {
        await (await one.catch(() => null))?.[Symbol.asyncDispose]()
      }
    },
  }
}
