import type { SensorReading } from '../../config/event/sensor-reading.ts'
import { IntervalSet } from '../interval-set.ts'

/** A duplicate that differs from the original event, as `--json` prints it. */
export type Conflict = Pick<
  SensorReading,
  'gateway' | 'epoch' | 'sequence' | 'zone' | 'zoneSequence' | 'receivedAt'
>

type CheckedEvent = Conflict

/** A block has the hashes of this many consecutive sequences of a run, four bytes each. */
const BLOCK_EVENTS = 2048
/** With more blocks, the oldest is removed: 32 MB, or 8 million events. */
const BLOCKS_MAX = 4096
/** A conflict that is found twice counts once, up to this many conflicts. */
const CONFLICTS_MAX = 100_000
const EMPTY = 0

type Blocks = Map<string, Uint32Array>

/**
 * Compares duplicates with the event that arrived first: they must have the same time, zone and
 * zone sequence. The hashes of the newest blocks of events stay in memory. A duplicate in an older
 * block makes its block `pending`; `openSecondRead` then compares the events of pending blocks.
 */
export function createDuplicateCheck(
  onConflict: (conflict: Conflict) => void,
  blocksMax = BLOCKS_MAX,
) {
  const blocks: Blocks = new Map()
  /** By run: the blocks that ever had hashes; a removed block is not begun twice. */
  const begun = new Map<string, IntervalSet>()
  const pending = new Set<string>()
  const known = new Set<string>()

  const report = (event: CheckedEvent, hash: number) => {
    const id = `${runKey(event)} ${event.sequence} ${hash}`
    if (known.has(id)) return
    if (known.size < CONFLICTS_MAX) known.add(id)
    const { gateway, epoch, sequence, zone, zoneSequence, receivedAt } = event
    onConflict({ gateway, epoch, sequence, zone, zoneSequence, receivedAt })
  }
  /** The block of an event, as long as it is in memory; begins the block when it is new. */
  const blockOf = (event: CheckedEvent): Uint32Array | undefined => {
    const key = blockKey(event)
    const found = blocks.get(key)
    if (found) return found
    const numbers = begun.get(runKey(event)) ?? new IntervalSet()
    begun.set(runKey(event), numbers)
    if (!numbers.add(blockNumber(event))) return undefined
    const block = new Uint32Array(BLOCK_EVENTS)
    blocks.set(key, block)
    if (blocks.size > blocksMax) blocks.delete(blocks.keys().next().value!)
    return block
  }

  return {
    /** Adds an event, or compares a duplicate with the event that arrived first. */
    add(event: CheckedEvent, isDuplicate: boolean): void {
      const hash = hashOf(event)
      const block = isDuplicate ? blocks.get(blockKey(event)) : blockOf(event)
      const index = event.sequence % BLOCK_EVENTS
      if (!isDuplicate && block) block[index] = hash
      if (!isDuplicate) return
      const original = block?.[index] ?? EMPTY
      if (original === EMPTY) pending.add(blockKey(event))
      else if (original !== hash) report(event, hash)
    },
    /** Whether duplicates wait for a second read of all events. */
    get isPending() {
      return pending.size > 0
    },
    /**
     * Begins a second read for as many pending blocks as fit into memory. Call the returned
     * function with every event, in the order of the first read.
     */
    openSecondRead(): (event: CheckedEvent) => void {
      const wanted = [...pending].slice(0, blocksMax)
      for (const key of wanted) pending.delete(key)
      const originals: Blocks = new Map(wanted.map(key => [key, new Uint32Array(BLOCK_EVENTS)]))
      return event => {
        const block = originals.get(blockKey(event))
        if (!block) return
        const [index, hash] = [event.sequence % BLOCK_EVENTS, hashOf(event)]
        if (block[index] === EMPTY) block[index] = hash
        else if (block[index] !== hash) report(event, hash)
      }
    },
  }
}

export type DuplicateCheck = ReturnType<typeof createDuplicateCheck>

const runKey = ({ gateway, epoch }: CheckedEvent) => `${epoch} ${gateway}`
const blockNumber = ({ sequence }: CheckedEvent) => Math.floor(sequence / BLOCK_EVENTS)
const blockKey = (event: CheckedEvent) => `${blockNumber(event)} ${runKey(event)}`

/** FNV-1a (Fowler, Noll, Vo) over the fields in which duplicates must agree; never EMPTY. */
function hashOf({ zone, zoneSequence, receivedAt }: CheckedEvent): number {
  let hash = 0x811c9dc5
  const add = (value: number) => {
    hash = Math.imul(hash ^ value, 0x01000193)
  }
  for (let at = 0; at < zone.length; at++) add(zone.charCodeAt(at))
  for (const number of [zoneSequence, receivedAt]) {
    for (let rest = number; rest >= 1; rest = Math.floor(rest / 65_536)) add(rest % 65_536)
  }
  return hash >>> 0 || 1
}
