// Breaks a promise on purpose. When gateway or bridge preload this module (`--import
// sabotage.ts?promise`), the module changes one line of their code. A rehearsal that passes despite
// the broken promise proves nothing.
import { registerHooks } from 'node:module'

const ARCHIVE_DISK = 'cloud-bridge/consumers/archive/files/durable-filesystem.ts'
const WRITE = '\n      await file.writeFile(bytes)'
const SYNC = '\n      await file.sync()'
const STATE_FILES = ['sqlite-database', 'sqlite-partition'].map(
  name => `cloud-bridge/consumers/state/${name}.ts`,
)
const FORWARDER = 'cloud-bridge/forward/forwarder.ts'
const QUEUE = 'gateway/ingest/commit-queue.ts'
const ASSESSMENT = 'cloud-bridge/ledger/assessment.ts'
const TIPS = 'cloud-bridge/ledger/runs/tips.ts'

// Like a broker that saves only now and then: a kill loses the messages that were acknowledged
// since the last save.
const ACK_FIRST =
  'for (const { resolve } of group) resolve(); await new Promise(r => setTimeout(r, 100));'

const ONE_IS_ENOUGH = "if (states.has('complete')) return 'complete'"

type Change = { file: string; from: string; to: string }

/** The lines to replace, for each promise that can be broken. */
export const sabotages: Record<string, Change[]> = {
  'ack-before-commit': [
    {
      file: QUEUE,
      from: 'const reason = await this.#commit(',
      to: `${ACK_FIRST} const reason = await this.#commit(`,
    },
  ],
  'manifest-unsynced': [
    {
      file: ARCHIVE_DISK,
      from: `await file.truncate(length)${WRITE}${SYNC}`,
      to: `await file.truncate(length)${WRITE}`,
    },
  ],
  'archive-file-unsynced': [
    {
      file: ARCHIVE_DISK,
      from: `await open(path, 'w')${WRITE}${SYNC}`,
      to: `await open(path, 'w')${WRITE}`,
    },
  ],
  'archive-name-unsynced': [
    { file: ARCHIVE_DISK, from: 'await folder.sync()', to: 'await folder.stat()' },
  ],
  'state-unsynced': STATE_FILES.map(file => ({
    ...{ file, from: 'synchronous = NORMAL', to: 'synchronous = OFF' },
  })),
  'position-before-send': [
    {
      file: FORWARDER,
      from: 'const batch = await retrying(() => batchOf(pending))',
      to: 'source.advance(pending); const batch = await retrying(() => batchOf(pending))',
    },
  ],
  // A gateway is complete as soon as one of its stores is.
  'judge-names': [
    {
      file: ASSESSMENT,
      from: 'missing === 0 && problems.every(({ isWarning }) => isWarning)',
      to: 'missing === 0',
    },
    {
      file: TIPS,
      from: 'const states = new Set(tips.map(({ state }) => state))',
      to: `const states = new Set(tips.map(({ state }) => state)); ${ONE_IS_ENOUGH}`,
    },
  ],
}

const changes = sabotages[new URL(import.meta.url).search.slice(1)] ?? []
if (changes.length > 0) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const ownChanges = changes.filter(({ file }) => url.endsWith(`/${file}`))
      if (ownChanges.length === 0) return loaded
      let source = Buffer.from(loaded.source as Uint8Array).toString()
      for (const { file, from, to } of ownChanges) {
        if (!source.includes(from))
          throw new Error(`${file} lacks the code that this sabotage replaces: ${from}`)
        source = source.replaceAll(from, to)
      }
      return { ...loaded, source }
    },
  })
}
