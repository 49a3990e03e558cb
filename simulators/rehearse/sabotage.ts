// Breaks a promise on purpose: loaded in front of gateway or bridge (`--import sabotage.ts?which`),
// it changes one line of their code. A rehearsal that still passes would prove nothing.
import { registerHooks } from 'node:module'

const FORWARDER = 'cloud-bridge/forward/forwarder.ts'
const QUEUE = 'gateway/ingest/commit-queue.ts'

// As brokers do that save now and then: any kill meets what was acknowledged meanwhile.
const ACK_FIRST =
  'for (const { resolve } of group) resolve(); await new Promise(r => setTimeout(r, 100));'

type Change = { file: string; from: string; to: string }

/** By the promise that is broken: which line becomes which. */
export const sabotages: Record<string, Change[]> = {
  'ack-before-commit': [
    {
      file: QUEUE,
      from: 'const reason = await this.#commit(',
      to: `${ACK_FIRST} const reason = await this.#commit(`,
    },
  ],
  'position-before-send': [
    {
      file: FORWARDER,
      from: 'const batch = await tryOn(() => batchOf(taken))',
      to: 'source.advance(taken); const batch = await tryOn(() => batchOf(taken))',
    },
  ],
}

const changes = sabotages[new URL(import.meta.url).search.slice(1)] ?? []
if (changes.length > 0) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const wanted = changes.filter(({ file }) => url.endsWith(`/${file}`))
      if (wanted.length === 0) return loaded
      let source = Buffer.from(loaded.source as Uint8Array).toString()
      for (const { file, from, to } of wanted) {
        if (!source.includes(from)) throw new Error(`${file} has no '${from}' to sabotage`)
        source = source.replaceAll(from, to)
      }
      return { ...loaded, source }
    },
  })
}
