/** The store and gateway of this machine; both are texts, the store id is in hex. */
export type OwnStore = { store: string; gateway: string }

/** A run of the own store; `parent` and `first` (its first sequence) come from its epoch note. */
type ObservedRun = {
  parent: number | null
  first: number | null
  claimed: number
  /** When Kafka stored the epoch note; Infinity while that note is unknown. */
  startedAtMs: number
  /** When Kafka stored the newest note. */
  observedAtMs: number
}

/** Another store counts as heard recently for this time, by Kafka's clock. */
const RECENT_MS = 15 * 60_000
const CURE =
  'If two gateways run with copies of one card, give one of them a new outbox; ' +
  './sluice ledger verify says what is missing'

/**
 * Collects from values of the ledger topic what was heard of the own store and under the own
 * gateway's id. The values may come in any order, duplicates included. Grows with the runs of the
 * own store and with the stores under the own id.
 */
export function createObservedRuns(own: OwnStore) {
  const runs = new Map<number, ObservedRun>()
  const otherStores = new Map<string, number>()
  const retiredAtMs = new Map<string, number>()
  let newestMs = NEVER

  const runOf = (epoch: number) => {
    const times = { startedAtMs: Number.POSITIVE_INFINITY, observedAtMs: NEVER }
    const known = runs.get(epoch) ?? { parent: null, first: null, claimed: 0, ...times }
    runs.set(epoch, known)
    return known
  }
  const addEpochNote = (epoch: number, { content, appendTimeMs }: ObservedNote) => {
    const { firstSequence, previous } = content
    const known = runOf(epoch)
    known.parent = epochIn(previous) ?? known.parent
    known.first = isNumber(firstSequence) ? firstSequence : known.first
    known.startedAtMs = Math.min(known.startedAtMs, appendTimeMs)
  }
  /** A run that names the end of another epoch follows that epoch. */
  const addHeads = (epoch: number, writer: number, lastSequence: number) => {
    const known = runOf(epoch)
    known.claimed = Math.max(known.claimed, lastSequence)
    if (writer !== epoch) runOf(writer).parent = epoch
  }
  const addOwn = (note: ObservedNote) => {
    const { kind, content, run, appendTimeMs } = note
    const epoch = epochIn(content)
    // Notes of early versions name no run; their heartbeats name the epoch that wrote them.
    const writer = run ?? epoch
    if (writer === null) return
    if (kind === 'epoch' && epoch !== null) addEpochNote(epoch, note)
    const { lastSequence } = content
    if (kind === 'heads' && epoch !== null && isNumber(lastSequence)) {
      addHeads(epoch, writer, lastSequence)
    }
    if (run === null && kind !== 'epoch' && kind !== 'heads') return
    const heard = runOf(writer)
    heard.observedAtMs = Math.max(heard.observedAtMs, appendTimeMs)
  }

  return {
    /** Adds a value of the ledger topic. Values that are not notes are ignored. */
    add(value: Buffer, appendTimeMs: number): void {
      newestMs = Math.max(newestMs, appendTimeMs)
      // Most notes are of other gateways: they are not parsed.
      if (!value.includes(own.store) && !value.includes(own.gateway)) return
      const note = parseNote(value, appendTimeMs)
      if (!note) return
      if (note.kind === 'retired' && Array.isArray(note.content.stores)) {
        for (const store of note.content.stores) raise(retiredAtMs, String(store), appendTimeMs)
      } else if (note.origin !== 'outbox') return
      else if (note.store === own.store) addOwn(note)
      else if (note.gateway === own.gateway) raise(otherStores, note.store, appendTimeMs)
    },
    /**
     * Returns a sentence with the cure for each other branch of the own store and for each other
     * store under the own id. `epoch` is the newest run in the own outbox. What was heard before an
     * operator retired the store is not reported.
     */
    warnings(epoch: number): string[] {
      const lineage = lineageOf(runs, epoch)
      const ownRun = runOf(epoch)
      const isStartKnown = Number.isFinite(ownRun.startedAtMs)
      // A card that was heard only before this run began is the card that this card replaced.
      const oldBeforeMs = isStartKnown ? ownRun.startedAtMs : NEVER
      const texts: string[] = []
      for (const branch of branchesBeside(runs, lineage)) {
        const { parent, claimed, observedAtMs } = branch
        const forks = parent !== null && lineage.has(parent)
        const overlaps = ownRun.first !== null && claimed >= ownRun.first
        const isRetired = observedAtMs <= (retiredAtMs.get(own.store) ?? NEVER)
        if (!isRetired && (forks || overlaps)) texts.push(branchText(branch, epoch))
      }
      for (const [store, observedAtMs] of otherStores) {
        const isOld = observedAtMs < Math.max(oldBeforeMs, newestMs - RECENT_MS)
        if (isOld || observedAtMs <= (retiredAtMs.get(store) ?? NEVER)) continue
        texts.push(
          `store ${store} is heard under the id ${own.gateway}, too (last at ` +
            `${timeText(observedAtMs)}): two gateways have one id. Give each its own gateway.id`,
        )
      }
      return texts
    },
  }
}

/** A run that does not belong to the own lineage, with all runs after it. */
type Branch = { epoch: number; parent: number | null; claimed: number; observedAtMs: number }

/** The own run and its ancestors, as far as they were heard. */
function lineageOf(runs: ReadonlyMap<number, ObservedRun>, epoch: number): Set<number> {
  const lineage = new Set<number>()
  for (let next: number | null = epoch; next !== null && !lineage.has(next); ) {
    lineage.add(next)
    next = runs.get(next)?.parent ?? null
  }
  return lineage
}

function branchesBeside(
  runs: ReadonlyMap<number, ObservedRun>,
  lineage: ReadonlySet<number>,
): Iterable<Branch> {
  const branches = new Map<number, Branch>()
  for (const [epoch, run] of runs) {
    if (lineage.has(epoch)) continue
    const line = [...lineageOf(runs, epoch)].filter(at => runs.has(at) && !lineage.has(at))
    const root = line.at(-1)!
    const { parent } = runs.get(root)!
    const known = branches.get(root) ?? { epoch: root, parent, claimed: 0, observedAtMs: NEVER }
    known.claimed = Math.max(known.claimed, run.claimed)
    known.observedAtMs = Math.max(known.observedAtMs, run.observedAtMs)
    branches.set(root, known)
  }
  return branches.values()
}

function branchText({ epoch, parent, observedAtMs }: Branch, own: number): string {
  const heard = `epoch ${epoch}, last heard at ${timeText(observedAtMs)}`
  if (parent === own) {
    const why = 'this outbox is a copy, or was restored from an older image'
    return `the ledger knows a newer run of this store (${heard}): ${why}. ${CURE}`
  }
  const both = `epoch ${own} on this machine, and ${heard}`
  const why = 'the card was copied, or an older image was restored'
  return `two runs of this store follow one run: ${both}; ${why}. ${CURE}`
}

/** A note of the ledger topic, as far as this module needs it. */
type ObservedNote = {
  gateway: string
  store: string
  origin: string
  run: number | null
  kind: string
  content: Record<string, unknown>
  appendTimeMs: number
}

function parseNote(value: Buffer, appendTimeMs: number): ObservedNote | null {
  try {
    const { gateway, store, origin, run, kind, content } = JSON.parse(value.toString())
    if (typeof content !== 'object' || content === null) return null
    const texts = { gateway: String(gateway), store: String(store), origin: String(origin) }
    return { ...texts, run: isNumber(run) ? run : null, kind: String(kind), content, appendTimeMs }
  } catch {
    return null
  }
}

const NEVER = Number.NEGATIVE_INFINITY
const isNumber = (value: unknown): value is number => Number.isSafeInteger(value)
const timeText = (ms: number) => (ms === NEVER ? 'an unknown time' : new Date(ms).toISOString())

function epochIn(value: unknown): number | null {
  const epoch = (value as { epoch?: unknown } | null | undefined)?.epoch
  return isNumber(epoch) ? epoch : null
}

function raise(times: Map<string, number>, name: string, ms: number): void {
  times.set(name, Math.max(times.get(name) ?? NEVER, ms))
}
