import type { ZoneRange } from './group-codec.ts'

/** Numbers given to the events of one commit; they count only once `commit` was called. */
export type NumberingDraft = {
  next(zone: string): { sequence: number; zoneSequence: number; zoneIndex: number }
  /** The zones of the present group. */
  readonly zones: ZoneRange[]
  /** Begins the next group of the commit, and gives the zones that are still to come in it. */
  nextGroup(): ZoneRange[]
  /** The zones of all its groups. */
  readonly allZones: ZoneRange[]
  commit(): void
}

/**
 * Gives out the numbers of one epoch: a sequence over the whole store and one per zone, both
 * without holes. A draft that is dropped (its commit failed) gives its numbers back.
 */
export function createNumbering(lastSequence: number) {
  const heads = new Map<string, number>()
  let last = lastSequence
  return {
    /** Each zone's last committed zone sequence in this epoch. */
    heads: heads as ReadonlyMap<string, number>,
    get last() {
      return last
    },
    draft(): NumberingDraft {
      const groups: ZoneRange[][] = []
      let zones: ZoneRange[] = []
      let indexes = new Map<string, number>()
      let sequence = last
      const drafted = new Map<string, number>()
      const lastOf = (zone: string) => drafted.get(zone) ?? heads.get(zone) ?? 0
      return {
        get zones() {
          return zones
        },
        get allZones() {
          return [...groups, zones].flat()
        },
        nextGroup() {
          if (zones.length > 0) {
            groups.push(zones)
            for (const { zone, first, count } of zones) drafted.set(zone, first + count - 1)
            zones = []
            indexes = new Map()
          }
          return zones
        },
        next(zone) {
          let zoneIndex = indexes.get(zone)
          if (zoneIndex === undefined) {
            zoneIndex = zones.push({ zone, first: lastOf(zone) + 1, count: 0 }) - 1
            indexes.set(zone, zoneIndex)
          }
          const range = zones[zoneIndex]!
          range.count++
          sequence++
          return { sequence, zoneSequence: range.first + range.count - 1, zoneIndex }
        },
        commit() {
          last = sequence
          for (const { zone, first, count } of this.allZones) heads.set(zone, first + count - 1)
        },
      }
    },
  }
}

/** Who writes: the store, this run of its writer, and where its numbers go on. */
export type Epoch = { store: Buffer; gateway: string; epoch: number; lastSequence: number }
